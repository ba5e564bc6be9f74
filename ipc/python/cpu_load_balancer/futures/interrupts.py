"""Interrupts: exceptions that a signal's handler raises wherever the main thread just is."""

from __future__ import annotations

import signal
import threading
from typing import Any, Iterator, List


class Locked(List[bool]):
    """Has whether a lock has been taken, for who may be interrupted."""

    def take(self, lock: threading.Lock) -> bool:
        """Take lock if nobody has it. An interrupt comes behind a call at the earliest, and one call takes the lock here and notes it."""
        self.extend(map(lock.acquire, (False,)))
        return self[0]


def is_interrupt(error: BaseException) -> bool:
    """Whether error is such a one, which all have to let pass, and does not come from what belongs to a call."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if isinstance(error, KeyboardInterrupt):
        return True
    codes = set(_handlers())
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


def _handlers() -> Iterator[Any]:
    """Yield the code of each handler that is written in Python."""
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        handler = getattr(handler, "func", handler)  # functools.partial
        for function in (handler, getattr(type(handler), "__call__", None)):
            code = getattr(getattr(function, "__func__", function), "__code__", None)
            if code is not None:
                yield code
