import dataclasses
import enum
import sys


@dataclasses.dataclass
class Box:
    inner: object


class Colour(enum.Enum):
    RED = "red"


def nested(inside, levels, wrap):
    for _ in range(levels):
        inside = wrap(inside)
    return inside


WRAPS = {
    "list": lambda x: [x],
    "tuple": lambda x: (x,),
    "dict": lambda x: {"a": x},
    "number": lambda x: {7: x},
    "box": Box,
    "text": lambda x: ["ü", x],
    "half": lambda x: ["\ud800", x],
    "enum": lambda x: [Colour.RED, x],
}


def main(params, context):
    if isinstance(params, list):  # how deep it is, by hand: Python's own functions recurse
        deep, limit = 0, sys.getrecursionlimit()
        while params:
            params, deep = params[0], deep + 1
        return [deep, limit]
    if params.get("limit"):
        sys.setrecursionlimit(params["limit"])
    made = nested([], params["deep"] - 1, WRAPS[params["wrap"]])
    if params.get("yields"):
        return (x for x in [made])
    return made
