"""Functions that an Executor has called: how they are sent, and how long they take."""

from __future__ import annotations

import os
import sys
import types
from typing import Any, Callable, Dict, Optional

# Named by their module and their own name when they are pickled: one text says all of them, always.
_NAMED = frozenset((types.FunctionType, types.BuiltinFunctionType, type))
UNMEASURED = 1 << 62


class Function:
    """What is known of one function."""

    __slots__ = ("number", "call", "nanoseconds", "process")

    def __init__(self, number: int, call: Optional[Callable[..., Any]]) -> None:
        self.number = number  # 0: the function goes with the arguments of each call
        self.call = call
        self.nanoseconds = UNMEASURED  # that a call takes, as it was lately
        self.process = os.getpid()  # whose calls they are

    def measured(self, nanoseconds: int) -> None:
        """A call has taken so long."""
        known = self.nanoseconds
        self.nanoseconds = nanoseconds if known == UNMEASURED else known + ((nanoseconds - known) >> 2)

    def name(self, call: Any) -> str:
        """How messages name a call of it."""
        function: Any = self.call or (call.args[0] if call.args else None)
        function = getattr(function, "func", function)
        return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__name__)}"


class Functions:
    """The functions of one Executor."""

    def __init__(self, by_name: bool) -> None:
        """by_name: what pickles names functions, and does not write them out."""
        self._by_name = by_name
        self._numbers = 0
        self.named: Dict[int, Dict[Any, Function]] = {}  # by how it is called, and then the function
        self._others: Dict[Any, Function] = {}

    def find(self, function: Callable[..., Any], kind: int) -> Function:
        """Return what is known of a function that is called in this way."""
        named = self.named.setdefault(kind, {})
        if self._by_name and type(function) in _NAMED:
            found = named.get(function)
            if found is not None:
                return found
            if _is_found(function):
                self._numbers += 1
                return named.setdefault(function, Function(self._numbers, function))
        # Of other callables the code says most of how long they take.
        inner = getattr(function, "func", function)
        key = kind, getattr(inner, "__code__", type(inner))
        return self._others.setdefault(key, Function(0, None))


def _is_found(function: Any) -> bool:
    """Whether its name leads to it, so that it can be pickled by that."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function
