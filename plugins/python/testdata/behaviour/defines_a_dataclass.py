# {"pools": "exclusive shared", "times": 2, "want": {"data": [["name"], {"name": "x"}, "Node"]}}
"""dataclasses, typing and pickle resolve the script's own names, also with postponed annotations."""

from __future__ import annotations

import dataclasses
import pickle
import typing


@dataclasses.dataclass
class Node:
    name: str
    next: typing.ClassVar[Node | None] = None


def main(params, context):
    copy = pickle.loads(pickle.dumps(Node("x")))
    hints = typing.get_type_hints(Node.__init__)
    assert hints["name"] is str
    return [[f.name for f in dataclasses.fields(Node)], dataclasses.asdict(copy), type(copy).__name__]
