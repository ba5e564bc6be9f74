import datetime
import math

loop = {}
loop["self"] = [loop]

VALUES = {
    "nan": math.nan,
    "infinity_inside": {"a": [1, {"b": -math.inf}]},
    "set": [1, {2}],
    "bytes": {"k": b"x"},
    "datetime": {"when": datetime.datetime(2024, 1, 1)},
    "object": object(),
    "tuple_key": {(1, 2): 3},
    "cycle": loop,
    "int_key": {1: True, None: 1.5},
    "text": "ğüşiöç €",
    "huge_int": 10**5000,
    "none": None,
}


def main(params, context):
    return VALUES[params]
