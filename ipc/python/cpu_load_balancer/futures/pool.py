"""Pool: the calls of one Executor, and which carrier is given which."""

from __future__ import annotations

import select
import socket
import threading
import time
from _thread import get_ident
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple

from .bell import Bell
from .call import Call
from .callbacks import Callbacks
from .carrier import WINDOW_NS, Carrier

_MOST_AT_ONCE = 1000  # calls in a message


@dataclass
class Options:
    """What an Executor was made with."""

    max_workers: int
    dumps: Callable[..., bytes]
    calls_each: int = 0  # that a worker process runs; 0: any number
    limits: Dict[str, float] = field(default_factory=dict)  # of a carrier's turn


class Pool:
    """Its lock guards all of it but refusal, which is set once and looked at under the lock, and of each carrier load, feeding, resting, dead and, but for what the carrier says
    of it, outstanding."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.lock = threading.Lock()
        self.pending: Deque[Call] = deque()
        self.idle: List[Carrier] = []
        self.carriers: Dict[int, Carrier] = {}  # connected, by number
        self.starting = 0  # that are not connected yet
        self.to_start = 0  # of these, that the pool's thread has to submit yet
        self.refusal: Optional[Exception] = None  # why no call is taken any more
        self.killed = False
        self.looks_at = float("inf")  # when the pool's thread looks next whether something is due
        self.alert = False  # the pool's thread knows that a carrier has calls that wait for another
        self.stops: Deque[Tuple[Carrier, Call]] = deque()
        self.bell = Bell()
        self.callbacks = Callbacks(self.bell)
        self.poll = select.epoll()

    def close(self) -> None:
        """No thread serves it any more."""
        self.poll.close()
        self.bell.close()

    def add(self, call: Call) -> None:
        """Have a call run."""
        carrier, starts = None, False
        try:
            with self.lock:
                if self.refusal is not None:
                    raise self.refusal.with_traceback(None)
                self.pending.append(call)
                if self.idle:
                    carrier = self._wake_one_locked()
                elif self.starting + len(self.carriers) < self.options.max_workers:
                    starts = self.is_to_start_locked()
            if carrier is not None:
                carrier.feed()
            elif starts:
                call.begin()  # it has a carrier, though that is not there yet
                self.bell.ring()
        except BaseException:
            if carrier is not None:
                carrier.give_up()
            raise

    def _wake_one_locked(self) -> Carrier:
        """Return a carrier that has nothing to do, for the caller to feed."""
        carrier = self.idle.pop()
        carrier.resting, carrier.feeding = False, get_ident()
        return carrier

    def feed_idle(self) -> None:
        """Give what waits to carriers that have nothing to do."""
        while True:
            carrier = None
            try:
                with self.lock:
                    if not self.idle or not self.pending:
                        return
                    carrier = self._wake_one_locked()
                carrier.feed()
            except BaseException:
                if carrier is not None:
                    carrier.give_up()
                raise

    def feed(self, carrier: Carrier) -> None:
        """Give carrier more, if there is room and nobody else does."""
        try:
            with self.lock:
                if carrier.feeding or carrier.resting:
                    return
                carrier.feeding = get_ident()
            carrier.feed()
        except BaseException:  # an interrupt may have come between the two
            carrier.give_up()
            raise

    def is_to_start_locked(self) -> bool:
        """Whether another carrier is wanted, which is counted then."""
        if self.starting >= len(self.pending) or self.starting + len(self.carriers) >= self.options.max_workers:
            return False
        self.starting += 1
        self.to_start += 1
        return True

    def take_locked(self, carrier: Carrier) -> Sequence[Call]:
        """Return the calls that carrier is to be given now."""
        pending = self.pending
        if not pending or carrier.retired:
            return ()
        if not carrier.outstanding:
            carrier.load = 0
        most = min(-(-len(pending) // len(self.carriers)), _MOST_AT_ONCE)
        if self.options.calls_each:
            most = min(most, self.options.calls_each - carrier.ran - len(carrier.outstanding))
        taken: List[Call] = []
        room = WINDOW_NS - carrier.load
        busy = bool(carrier.outstanding)
        while pending and len(taken) < most:
            call = pending[0]
            cost = call.function.nanoseconds
            if cost > WINDOW_NS or call.timeout is not None:
                cost = WINDOW_NS
            if busy and cost > room:
                break
            carrier.outstanding[call.number] = call
            taken.append(pending.popleft())
            call.cost = cost
            room -= cost
            busy = True
            if call.timeout is not None:
                carrier.timed = call.number, time.monotonic() + call.timeout  # for it has no other call
                if carrier.timed[1] < self.looks_at:
                    self.bell.ring()
        carrier.load = WINDOW_NS - room
        if not self.alert and len(carrier.outstanding) > 1:
            self.alert = True
            self.bell.ring()  # its thread has to look whether one of them takes long
        return taken

    def rest_locked(self, carrier: Carrier) -> None:
        """carrier has nothing to do."""
        if carrier.retired or self.options.calls_each and carrier.ran >= self.options.calls_each:
            return  # and will have nothing
        if not carrier.resting:
            carrier.resting = True
            self.idle.append(carrier)

    def reclaim_locked(self, carrier: Carrier) -> None:
        """What a carrier that has ended was given and has not begun is to be run by another."""
        left, carrier.outstanding = list(carrier.outstanding.values()), {}
        if left and self.pending and self.pending[0] is left[-1]:
            self.pending.popleft()  # whoever took it was interrupted
        carrier.load = 0
        self.carriers.pop(carrier.number, None)
        self.put_back_locked([call for call in left if not call.done()])

    def put_back_locked(self, calls: Sequence[Call]) -> None:
        """These calls are to be run before all others."""
        for call in calls:
            call.carrier = None
        self.pending.extendleft(reversed(calls))

    def refuse(self, why: Exception, cancel: bool = False) -> None:
        """Take no more calls, and end when those that there are have ended; with cancel those that have not begun are
        cancelled. Without cancel it takes no lock: a finalizer calls it, in whichever thread collects, which may hold any."""
        self.refusal = self.refusal or why
        if cancel:
            with self.lock:
                waiting = list(self.pending)
            for call in waiting:
                if not call.running():
                    call.cancel()
        self.bell.ring()

    def kill(self) -> None:
        """Cancel all calls, also those that run."""
        self.killed = True
        self.refuse(RuntimeError("cannot schedule new futures after shutdown"), cancel=True)

    def forget(self) -> None:
        """This is a forked process, and all of it its parent's."""
        self.lock = threading.Lock()  # a thread that is not here may have held it
        self.callbacks = Callbacks(self.bell)
        for carrier in self.carriers.values():
            carrier.dead = True  # to read from it would take the parent's results
        self.refusal = RuntimeError("this executor belongs to the process that has forked this one: make another here")

    def ask_to_stop(self, carrier: Carrier, call: Call) -> None:
        """Have a call stopped that has been cancelled."""
        self.stops.append((carrier, call))
        self.bell.ring()

    def watch(self, carrier: Carrier, again: bool = False) -> None:
        """Have the pool's thread look after carrier's connection for calls; again: it does not do so now."""
        events = select.EPOLLIN | (select.EPOLLOUT if carrier.unsent else 0)
        try:
            (self.poll.register if again else self.poll.modify)(carrier.calls, events)  # type: ignore[operator]
        except FileExistsError:
            pass  # an interrupt came after that was done
        except FileNotFoundError:  # another thread reads, and is to leave that to the pool's
            if carrier.led_by is not None:
                carrier.led_by.wake()
        except (OSError, ValueError):
            pass  # it has ended

    def unwatch(self, connection: socket.socket) -> None:
        """Have nobody look after connection any more."""
        try:
            self.poll.unregister(connection)
        except FileNotFoundError:
            pass  # an interrupt has left it to nobody already

    def is_over(self) -> bool:
        """Whether all calls have ended and there will be none."""
        with self.lock:
            return self.refusal is not None and not self.pending and \
                not any(carrier.outstanding or carrier.feeding for carrier in self.carriers.values())

    def all_calls(self) -> List[Call]:
        """Return all that have not ended, and forget them."""
        with self.lock:
            calls: List[Any] = list(self.pending)
            self.pending.clear()
            for carrier in self.carriers.values():
                calls += list(carrier.outstanding.values())
        return calls
