"""Condition: what a Future takes of threading.Condition, for a tenth of its price."""

from __future__ import annotations

import functools
import os
import select
import threading
import time
from _thread import RLock, allocate_lock, get_ident  # type: ignore[attr-defined]
from typing import Any, List, Optional, Sequence

_LONGEST_MILLISECONDS = 1 << 30


class _Sleeper:
    """Wakes its thread by a descriptor. Who rings it lets go of the interpreter meanwhile, so that who is woken finds it
    free; whom a lock wakes sleeps again until it is."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # type: ignore[attr-defined]
        self._thread = get_ident()
        self._rung = False
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLIN)

    def hush(self) -> None:
        """Forget that it has been rung. It may be rung late yet, when nobody waits for that any more."""
        if self._rung:
            self.drain()

    def drain(self) -> None:
        """The same, whoever has rung it."""
        self._rung = False
        try:
            os.eventfd_read(self.descriptor)  # type: ignore[attr-defined]
        except BlockingIOError:
            pass

    def sleep(self, timeout: Optional[float]) -> bool:
        """Return True once it has been rung, False after timeout seconds."""
        return bool(self._poll.poll(None if timeout is None else min(max(timeout, 0) * 1000, _LONGEST_MILLISECONDS)))

    def sleep_or_read(self, connection: Any) -> bool:
        """Return True once connection can be read, False when it has been rung."""
        poll = select.poll()  # for this once: its number may be another's later, however this ends
        poll.register(self.descriptor, select.POLLIN)
        poll.register(connection, select.POLLIN)
        events = poll.poll()
        if any(descriptor == self.descriptor for descriptor, _ in events):
            self.drain()
            return False
        return bool(events)

    def ring(self) -> None:
        if self._thread != get_ident():  # else it does not sleep
            self._rung = True
            try:
                os.eventfd_write(self.descriptor, 1)  # type: ignore[attr-defined]
            except BlockingIOError:
                pass  # it has been rung very often

    def __del__(self) -> None:
        descriptor = getattr(self, "descriptor", -1)
        if descriptor >= 0:
            os.close(descriptor)


class _LockSleeper:
    """The same by a lock."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def hush(self) -> None:
        self._lock.acquire(False)

    drain = hush

    def sleep(self, timeout: Optional[float]) -> bool:
        return self._lock.acquire(True, -1 if timeout is None else min(max(timeout, 0), _LONGEST_MILLISECONDS / 1000))

    def sleep_or_read(self, connection: Any) -> bool:
        """It can't do both."""
        return False

    def ring(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it has been rung already


_own = threading.local()  # a thread sleeps once at a time


@functools.lru_cache(None)
def _register() -> None:
    """Have a child forget its sleeper: the descriptor is the parent's, too, which it would wake."""
    os.register_at_fork(after_in_child=lambda: _own.__dict__.clear())


def _sleeper() -> Any:
    try:
        return _own.sleeper
    except AttributeError:
        pass
    _register()
    try:
        _own.sleeper = _Sleeper()
    except (OSError, AttributeError):  # there are no descriptors left, or Python is older than 3.10
        _own.sleeper = _LockSleeper()
    return _own.sleeper


class Condition(RLock):  # type: ignore[misc]
    """It is its own lock."""

    __slots__ = ("_sleepers",)
    _sleepers: List[Any]

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Sleep until notify_all, at most for timeout seconds; False when that was it. The lock is held."""
        deadline = None if timeout is None else time.monotonic() + timeout
        sleeper = self.lay_down_locked()
        try:
            while True:
                saved = 1, get_ident()
                try:
                    saved = self._release_save()
                    is_rung = sleeper.sleep(None if deadline is None else deadline - time.monotonic())
                finally:
                    if not self._is_owned():  # an interrupt may come at any time
                        self._acquire_restore(saved)
                if sleeper not in self._sleepers:
                    return True  # which notify_all alone does: a ring may be a late one
                if is_rung:
                    sleeper.drain()
                elif deadline is None or time.monotonic() >= deadline:  # else it was too long for one sleep
                    return False
        finally:
            self.rise_locked(sleeper)

    def lay_down_locked(self) -> Any:
        """Return the calling thread's sleeper, which is woken from now on. The lock is held."""
        sleeper = _sleeper()
        sleeper.hush()
        try:
            self._sleepers.append(sleeper)
        except AttributeError:
            self._sleepers = [sleeper]
        return sleeper

    def rise_locked(self, sleeper: Any) -> None:
        """sleeper is not to be woken any more. The lock is held."""
        if sleeper in self._sleepers:
            self._sleepers.remove(sleeper)

    def sleepers_locked(self) -> Sequence[Any]:
        """Return those who are to be woken: now, or when the lock is free. The lock is held."""
        try:
            sleepers, self._sleepers = self._sleepers, []
            return sleepers
        except AttributeError:
            return ()

    def asleep(self) -> Sequence[Any]:
        """Return those who sleep, and go on doing so for as long as they are not notified."""
        with self:
            return list(getattr(self, "_sleepers", ()))

    def notify_all(self) -> None:
        """Wake everybody. The lock is held."""
        for sleeper in self.sleepers_locked():
            sleeper.ring()
