import collections
import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import types
import uuid


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    pass


@dataclasses.dataclass
class Point:
    x: float
    name: object


Pair = collections.namedtuple("Pair", "left right")

try:
    import numpy
except ImportError:
    numpy = None

deep = []
for _ in range(100_000):
    deep = [deep]

loop = {}
loop["self"] = [loop]

VALUES = {
    "nan": math.nan,
    "infinity_inside": {"a": [1, {"b": -math.inf}]},
    "set": [1, {2}],
    "bytes": {"k": b"x"},
    "bytearray": bytearray(b"x"),
    "frozenset": frozenset(),
    "timedelta": [datetime.timedelta(1)],
    "complex": 1j,
    "datetime": {"when": datetime.datetime(2024, 1, 2, 3, 4, 5, 6, datetime.timezone.utc)},
    "date": datetime.date(2024, 1, 2),
    "time": datetime.time(3, 4),
    "decimal": decimal.Decimal("1.10"),
    "uuid": uuid.UUID(int=1),
    "path": pathlib.PurePosixPath("/a/b"),
    "enum": [Colour.RED, Level.HIGH],
    "str_subclass": Text("x"),
    "dataclass": [Point(0.5, Point(-0.0, None))],
    "dataclass_nan": [Point(math.nan, None)],
    "namedtuple": Pair(1, (2,)),
    "deque": collections.deque([1]),
    "range": range(3),
    "mapping": types.MappingProxyType({"a": collections.OrderedDict(b=collections.Counter("xx"))}),
    "class": Point,
    "alike": {"a": [{1: "int", "1": "str"}]},
    "alike_in_dataclass": Point({True: 1, "true": 2}, None),
    "big_int": 2**64 + 1,
    "tiny_float": 5e-324,
    "object_key": {object: 1},
    "nan_key": {math.nan: 1},
    "deep": None,
    "object": object(),
    "tuple_key": {(1, 2): 3},
    "cycle": loop,
    "int_key": {1: True, None: 1.5},
    "text": "ğüşiöç €",
    "huge_int": 10**5000,
    "none": None,
}


VALUES["deep"] = deep
if numpy is not None:
    VALUES |= {
        "np_scalars": [numpy.int64(-5), numpy.float32(0.5), numpy.bool_(True), numpy.str_("s"), numpy.uint8(200)],
        "np_array": numpy.arange(6, dtype="int16").reshape(2, 3),
        "np_nan": {"a": numpy.array([[1.0, numpy.nan]])},
        "np_time": [numpy.datetime64("2024-01-02T03:04:05.123456789"), numpy.array(["2024-01-02"], dtype="datetime64[D]")],
        "np_nat": numpy.datetime64("NaT"),
        "np_complex": numpy.array([1j]),
        "np_longdouble": numpy.longdouble(1) / 3,
        "np_empty": numpy.zeros((0, 3)),
        "np_0d": numpy.array(7),
    }


def main(params, context):
    return VALUES[params]
