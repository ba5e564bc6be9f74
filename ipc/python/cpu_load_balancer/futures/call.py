"""Call: one call, which is also the future that submit returns."""

from __future__ import annotations

import logging
import os
from concurrent.futures import CancelledError, Future
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from . import arguments, memory
from .condition import Condition
from .descriptor import Descriptor
from .interrupts import is_interrupt

if TYPE_CHECKING:
    from .carrier import Carrier
    from .function import Function


_log = logging.getLogger("concurrent.futures")


class Call(Future):  # type: ignore[type-arg]
    """A call and its future. It differs from other futures in one thing: cancel stops it also while it runs. Whatever gives
    it its end has it let go of what running it took."""

    # Of most calls these never change: it is quicker not to set them.
    _state: str = PENDING
    _result = None
    _exception = None
    carrier: Optional["Carrier"] = None  # that it has been given to
    encoded: Optional[Tuple[bytes, Optional[Descriptor]]] = None  # its arguments as they are sent, and the memory with them
    cost = 0  # for how many nanoseconds it is expected to run

    def __init__(self, number: int, kind: int, function: "Function", args: Tuple[Any, ...], kwargs: Dict[str, Any],
                 timeout: Optional[float]) -> None:
        # Future's own would make what is not needed.
        self._condition = Condition()
        self._waiters: List[Any] = []
        self._done_callbacks: List[Any] = []
        self.number = number
        self.kind = kind
        self.function = function
        self.args: Any = args
        self.kwargs: Any = kwargs
        self.timeout = timeout

    def result(self, timeout: Optional[float] = None) -> Any:
        """Return what the call returned, waiting for it at most for timeout seconds, or raise what it raised."""
        if self._state != FINISHED:
            timeout = self._lead(timeout)
        if self._state == FINISHED and self._exception is None:
            return self._result
        return super().result(timeout)

    def exception(self, timeout: Optional[float] = None) -> Optional[BaseException]:
        """Return what the call raised, or None, waiting for its end at most for timeout seconds."""
        if self._state != FINISHED:
            timeout = self._lead(timeout)
        return super().exception(timeout)

    def _lead(self, timeout: Optional[float]) -> Optional[float]:
        """Read results while the call runs, if nobody else does; return timeout, None if it is for ever. A thread whose
        time is bounded does not: what has to be unpickled may take any time."""
        limit = arguments.wait_seconds(timeout, "timeout")
        if self._is_parents():
            raise RuntimeError("this call belongs to the process that has forked this one, and its result does, too")
        carrier = self.carrier
        if carrier is not None and limit is None:
            carrier.lead(self)
        return limit

    def _is_parents(self) -> bool:
        """Whether the process that has made this call has forked this one, which can do nothing about it."""
        return self.function.process != os.getpid()

    def sleep_or_read(self, carrier: "Carrier") -> bool:
        """Sleep until carrier's connection can be read, and return True; False once the call has ended, or it has been
        woken."""
        condition = self._condition
        with condition:
            if self._state != RUNNING or carrier.unsent:
                return False
            sleeper = condition.lay_down_locked()
        try:
            return bool(sleeper.sleep_or_read(carrier.calls))
        finally:
            with condition:
                condition.rise_locked(sleeper)

    def wake(self) -> None:
        """Wake who waits for it, to look around: it has not ended."""
        for sleeper in self._condition.asleep():
            sleeper.ring()

    def cancel(self) -> bool:
        """Cancel the call, and return whether it is cancelled; False if it has ended, and in a process that the call's has
        forked. Unlike with other executors one that runs is stopped: see docs/futures.md."""
        if self._is_parents():
            return False
        if super().cancel():
            self._release()
            return True
        with self._condition:
            if self._state != RUNNING:
                return False
            self._state = CANCELLED_AND_NOTIFIED
            carrier = self.carrier
            for waiter in self._waiters:
                waiter.add_cancelled(self)
            self._condition.notify_all()
        self._release()
        if carrier is not None:
            carrier.stop(self)
        self.invoke_callbacks()
        return True

    def begin(self) -> bool:
        """Make it one that runs; False if it has been cancelled."""
        with self._condition:
            if self._state is PENDING or self._state == PENDING:
                self._state = RUNNING
                return True
            if self._state == RUNNING:
                return True  # it was given to another carrier before, which has not begun with it
            if self._state == CANCELLED:
                self._state = CANCELLED_AND_NOTIFIED
                for waiter in self._waiters:
                    waiter.add_cancelled(self)
        self._release()  # of what it has been given since it ended
        return False

    def encode(self, dumps: Callable[..., bytes]) -> Tuple[bytes, Optional[Descriptor]]:
        """Return its arguments as they are sent, and the memory with what is large of them. CancelledError if it has ended."""
        encoded, args = self.encoded, self.args
        if encoded is None:
            if args is None:
                raise CancelledError
            payload, number = memory.encode((args, self.kwargs), dumps)
            encoded = self.encoded = payload, Descriptor(number) if number >= 0 else None
            self.args, self.kwargs = () if self.function.number else args[:1], None  # the rest is there
            if self._state != RUNNING:
                self._release()
        return encoded

    def complete(self, value: Any) -> None:
        """End with value, unless it has ended."""
        with self._condition:
            if self._state != RUNNING:
                self._release()  # an interrupt may have come before that was done
                return
            self._result = value
            self._state = FINISHED
            if self._waiters:
                for waiter in self._waiters:
                    waiter.add_result(self)
            sleepers = self._condition.sleepers_locked()
        for sleeper in sleepers:  # without the lock, which who is woken takes
            sleeper.ring()
        self._end()

    def fail(self, error: BaseException) -> bool:
        """End with error, unless it has ended; whether it had not."""
        with self._condition:
            if self._state in (CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED):
                self._release()
                return False
            self._exception = error
            self._state = FINISHED
            for waiter in self._waiters:
                waiter.add_exception(self)
            self._condition.notify_all()
        self._end()
        return True

    def _end(self) -> None:
        carrier = self.carrier
        self._release()
        if not self._done_callbacks:
            return
        if carrier is None:
            self.invoke_callbacks()
        else:
            carrier.pool.callbacks.call(self)

    def _release(self) -> None:
        """Let go of all that running it took."""
        self.args = self.kwargs = self.encoded = self.carrier = None

    def invoke_callbacks(self) -> None:
        """Call what is to be called now that it has ended."""
        self._invoke_callbacks()

    def _invoke_callbacks(self) -> None:
        try:
            super()._invoke_callbacks()  # type: ignore[misc]
        except BaseException as error:  # logs what is an Exception
            if is_interrupt(error):
                raise
            _log.exception("exception calling callback for %r", self)

    def name(self) -> str:
        """How messages name it."""
        try:
            return self.function.name(self)
        except Exception:  # a callable may have any attributes
            return "a call"
