# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "['name']\n"}}
"""dataclasses looks up ClassVar by the module that the class names: __main__."""

from __future__ import annotations

import dataclasses
from typing import ClassVar


@dataclasses.dataclass
class Animal:
    name: str
    legs: ClassVar[int] = 4


print([field.name for field in dataclasses.fields(Animal)])
