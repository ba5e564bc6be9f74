"""Call: one call, which is also the future that submit returns."""

from __future__ import annotations

import os
from _thread import RLock, allocate_lock
from concurrent.futures import Future
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from .carrier import Carrier
    from .function import Function


class _Condition(RLock):  # type: ignore[misc, valid-type]
    """What a Future takes of threading.Condition, for a tenth of its price: it is its own lock."""

    __slots__ = ("_sleepers",)

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Sleep until notify_all, at most for timeout seconds; False when that was it."""
        sleeper = allocate_lock()
        sleeper.acquire()
        try:
            self._sleepers.append(sleeper)
        except AttributeError:
            self._sleepers = [sleeper]
        saved = self._release_save()
        woken = False
        try:
            woken = sleeper.acquire(True, -1 if timeout is None else max(timeout, 0))
        finally:
            self._acquire_restore(saved)
            if not woken and sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
        return woken

    def notify_all(self) -> None:
        """Wake everybody."""
        for sleeper in getattr(self, "_sleepers", ()):
            sleeper.release()
        self._sleepers = []


class Call(Future):  # type: ignore[type-arg]
    """A call and its future. It differs from other futures in one thing: cancel stops it also while it runs."""

    # Of most calls these never change: it is quicker not to set them.
    _state = PENDING
    _result = None
    _exception = None
    carrier: Optional["Carrier"] = None  # that it has been given to
    payload: Optional[bytes] = None  # its arguments as they are sent
    descriptor = -1  # of the memory with them
    cost = 0  # for how many nanoseconds it is expected to run
    deadline = 0.0  # of one that runs and has a timeout

    def __init__(self, number: int, kind: int, function: "Function", args: Tuple[Any, ...], kwargs: Dict[str, Any],
                 timeout: Optional[float]) -> None:
        # Future's own would make what is not needed.
        self._condition = _Condition()  # type: ignore[assignment]
        self._waiters: List[Any] = []
        self._done_callbacks: List[Any] = []
        self.number = number
        self.kind = kind
        self.function = function
        self.args: Any = args
        self.kwargs: Any = kwargs
        self.timeout = timeout

    def cancel(self) -> bool:
        """Cancel the call, and return whether it is cancelled; False if it has ended. Unlike with other executors one that
        runs is stopped: see docs/futures.md."""
        if super().cancel():
            return True
        with self._condition:
            if self._state != RUNNING:
                return False
            self._state = CANCELLED_AND_NOTIFIED
            for waiter in self._waiters:
                waiter.add_cancelled(self)
            self._condition.notify_all()
        self._invoke_callbacks()  # type: ignore[attr-defined]
        self._stop()
        return True

    def _stop(self) -> None:
        carrier = self.carrier
        if carrier is not None:
            carrier.stop(self)

    def begin(self) -> bool:
        """Make it one that runs; False if it has been cancelled."""
        with self._condition:
            if self._state is PENDING or self._state == PENDING:
                self._state = RUNNING
                return True
            if self._state == RUNNING:
                return True  # it was given to another worker before, which has not begun with it
            if self._state == CANCELLED:
                self._state = CANCELLED_AND_NOTIFIED
                for waiter in self._waiters:
                    waiter.add_cancelled(self)
        return False

    def complete(self, value: Any) -> None:
        """End with value, unless it has ended."""
        with self._condition:
            if self._state != RUNNING:
                return
            self._result = value
            self._state = FINISHED
            if self._waiters:
                for waiter in self._waiters:
                    waiter.add_result(self)
            self._condition.notify_all()
        if self._done_callbacks:
            self._invoke_callbacks()  # type: ignore[attr-defined]

    def fail(self, error: BaseException) -> bool:
        """End with error, unless it has ended; whether it had not."""
        with self._condition:
            if self._state in (CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED):
                return False
            self._exception = error  # type: ignore[assignment]
            self._state = FINISHED
            for waiter in self._waiters:
                waiter.add_exception(self)
            self._condition.notify_all()
        self._invoke_callbacks()  # type: ignore[attr-defined]
        return True

    def release(self) -> None:
        """Let go of all that running it took."""
        self.args = self.kwargs = self.payload = self.carrier = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def name(self) -> str:
        """How messages name it."""
        return self.function.name(self)
