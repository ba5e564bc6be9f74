"""Bells: what threads that wait are woken by."""

from __future__ import annotations

import os
import resource
import select
from threading import Lock
from typing import List, Optional, Union

_DESCRIPTORS = 128  # for all bells of a Stream; who finds none left gets a lock
_LONGEST_MILLISECONDS = 1 << 30


class Bells:
    """Hands bells out and takes them back. Not safe for concurrent use: its Stream's lock guards it."""

    def __init__(self) -> None:
        self._free: List[Bell] = []
        self._left = _DESCRIPTORS
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._half = float("inf") if limit == resource.RLIM_INFINITY else limit / 2

    def take(self) -> Bell:
        """Return a bell that nobody waits for. It may have been rung for the one who had it before."""
        if self._free:
            return self._free.pop()
        if self._left:
            self._left -= 1
            try:
                bell = _EventBell()
            except (AttributeError, OSError):  # Python 3.9 has none; or this process may have no more descriptors
                self._left = 0
                return _LockBell()
            # The kernel gives out the lowest. The last half of those that there may be is for the program's own files.
            if bell.descriptor < self._half:
                return bell
        return _LockBell()

    def give(self, bell: Bell) -> None:
        """Take bell back."""
        self._free.append(bell)


class _EventBell:
    """A descriptor. Who rings it lets go of the interpreter meanwhile, so who is woken finds it free: that is half as
    much as a lock costs, whose waiter is woken, sleeps again until he gets the interpreter, and is woken again."""

    __slots__ = ("descriptor", "_poll")

    def __init__(self) -> None:
        self.descriptor: int = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # type: ignore[attr-defined]
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLIN)

    def wait(self, seconds: Optional[float]) -> None:
        """Wait for ring, at most for seconds (None: for ever)."""
        if self._poll.poll(None if seconds is None else min(seconds * 1000, _LONGEST_MILLISECONDS)):
            os.eventfd_read(self.descriptor)  # type: ignore[attr-defined]

    def ring(self) -> None:
        """End wait, or let the next one end at once."""
        os.eventfd_write(self.descriptor, 1)  # type: ignore[attr-defined]

    def __del__(self) -> None:
        try:
            os.close(self.descriptor)
        except (AttributeError, OSError):
            pass  # it was never opened


class _LockBell:
    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()

    def wait(self, seconds: Optional[float]) -> None:
        """Like an _EventBell's."""
        self._lock.acquire(True, -1 if seconds is None else min(seconds, _LONGEST_MILLISECONDS / 1000))

    def ring(self) -> None:
        """Like an _EventBell's."""
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it was rung before


Bell = Union[_EventBell, _LockBell]
