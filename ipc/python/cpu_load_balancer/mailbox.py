"""Mailbox: results that have come in and have not been asked for yet."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Tuple


class Mailbox:
    """Keeps at most max_count results of together max_bytes, and the newest one
    whatever its size. The oldest go first, which loses nothing, for the daemon
    keeps them too. Not safe for concurrent use: its Stream's lock guards it."""

    def __init__(self, max_count: int, max_bytes: int):
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._bytes = 0
        self._results: OrderedDict[str, Tuple[Any, int]] = OrderedDict()  # task id -> (result, its size)

    def put(self, task_id: str, result: Any, size: int) -> None:
        """Keep result, which came as size bytes."""
        self.take(task_id)
        self._results[task_id] = result, size
        self._bytes += size
        while len(self._results) > 1 and (len(self._results) > self._max_count or self._bytes > self._max_bytes):
            _, (_, gone) = self._results.popitem(last=False)
            self._bytes -= gone

    def take(self, task_id: str) -> Any:
        """Return the result and forget it, or None."""
        result, size = self._results.pop(task_id, (None, 0))
        self._bytes -= size
        return result
