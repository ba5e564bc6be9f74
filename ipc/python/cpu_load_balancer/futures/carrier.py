"""Carrier: a task of the daemon that runs calls in a worker, seen from the Executor."""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import time
from _thread import get_ident
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Optional, Sequence, Set, Tuple

from . import wire
from .descriptor import Descriptor
from .interrupts import Locked, is_interrupt
from .results import give
from .turn import BARRED_AT, OUTBOX_HEADER

if TYPE_CHECKING:
    from .call import Call
    from .pool import Pool

_NEVER = float("inf")
WINDOW_NS = 2_000_000  # of work that a carrier is given ahead
_OVERHEAD_NS = 2_000  # of a call, for what the worker does not measure


class Carrier:
    """One that is connected. Who has set feeding, under the pool's lock, is the only one who gives it calls; who has locked
    reading is the only one who reads."""

    def __init__(self, pool: "Pool", number: int, pid: int) -> None:
        self.pool = pool
        self.number = number
        self.pid = pid
        self.calls: Optional[socket.socket] = None
        self.control: Optional[socket.socket] = None
        self.outbox: Optional[mmap.mmap] = None
        self.outstanding: Dict[int, "Call"] = {}  # in the order in which they run
        self.load = 0  # nanoseconds that these are expected to take
        self.reading = Lock()  # who reads results: the pool's thread, or one that waits for one
        self.led_by: Optional["Call"] = None  # the call that a thread waits for which reads
        self.feeding = 0  # the thread that does
        self.receiver = 0  # the thread that gives results to calls
        self.retired = False  # it is to take no more: an interrupt has left it in the middle of something
        self.torn = False  # results of it are lost
        self.unwatched = False  # the pool's thread does not look after its connection for calls, but who leads does
        self.dead = False
        self.moved = 0.0  # when it was given the first of its calls, or ended one
        self.asked = False  # to give back what it has not begun
        self.timed = 0, _NEVER  # the number of the call that was given it last with a timeout, and when that is over
        self.stopping: Dict[int, float] = {}  # calls that it is to stop, and when it was last looked whether they run
        self.known: Set[int] = set()  # functions that it has been sent
        self.resting = False  # it is among the pool's idle ones
        self.unsent: Deque[Tuple[Any, Optional[Descriptor]]] = deque()
        self.ran = 0  # calls, as its worker counts them; with the outstanding ones what max_tasks_per_child bounds

    def begin(self, calls: socket.socket, control: socket.socket, outbox: int) -> None:
        """All its connections are there, and are this one's to close."""
        self.calls, self.control = calls, control
        self.incoming, self.answers = wire.Incoming(calls), wire.Incoming(control)
        with os.fdopen(outbox, "rb") as file:
            self.outbox = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        calls.setblocking(False)
        control.setblocking(False)

    def feed(self, rest: bool = False) -> None:
        """Send calls for as long as there is room for them. The caller has set feeding. rest: send first what there was no
        room for."""
        pool = self.pool
        try:
            if rest and self.send_rest():
                pool.watch(self)
            self._feed(pool)
        except BaseException:
            self.give_up()
            raise
        if self.dead:
            self._leave()

    def _leave(self) -> None:
        """It has died while the calling thread fed it, and others are to run what it was given."""
        self.close()
        self.pool.feed_idle()
        self.pool.bell.ring()

    def _feed(self, pool: "Pool") -> None:
        while True:
            with pool.lock:
                taken = () if self.dead or self.unsent else pool.take_locked(self)
                if not taken:
                    self.feeding = 0
                    if self.dead:
                        pool.reclaim_locked(self)
                    elif not self.outstanding and not self.unsent:
                        pool.rest_locked(self)
                    break
            self._send(taken)

    def give_up(self) -> None:
        """An interrupt has come while the calling thread fed it: it ends its turn, and what it has not begun is to be run by
        another. Without effect if the thread does not feed it."""
        with self.pool.lock:
            if self.feeding != get_ident():
                return
            self.feeding = 0
            self.retired = True
            if self.dead:
                self.pool.reclaim_locked(self)
        self.retire()
        if self.dead:
            self._leave()

    def hang_up(self) -> None:
        """Have its worker begin no other call, and its connections end: what has come can be read yet, and who reads, or
        sleeps until there is something to read, comes to the end."""
        assert self.outbox is not None
        self.outbox[BARRED_AT] = 1
        for connection in (self.calls, self.control):
            try:
                assert connection is not None
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended

    def order(self, kind: int, number: int = 0) -> None:
        """Say something to the worker that can't wait for its call's end."""
        try:
            assert self.control is not None
            self.control.send(wire.frame(kind, number))
        except OSError:
            pass  # it has ended, or hears nothing

    def retire(self) -> None:
        """Have it end its turn after the call that runs."""
        self.retired = True
        try:
            assert self.control is not None
            self.control.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has ended

    def _send(self, calls: Sequence["Call"]) -> None:
        parts: List[bytes] = []
        if len(self.outstanding) == len(calls):
            self.moved = time.monotonic()
        for call in calls:
            call.carrier = self
            if not call.begin():
                self.drop(call)
                continue
            try:
                self._append(parts, call)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                self.drop(call)
                call.fail(error)
        if parts:
            self._put(b"".join(parts), None)

    def _append(self, parts: List[bytes], call: "Call") -> None:
        function = call.function
        if function.number and function.number not in self.known:
            text = pickle.dumps(function.call, 5)
            parts.append(wire.frame(wire.FUNCTION, 0, function.number, text))
            self.known.add(function.number)
        payload, memory = call.encode(self.pool.options.dumps)
        attached = memory is not None
        if attached and parts:
            self._put(b"".join(parts), None)  # by itself: it is not to fail with what follows
            parts.clear()
        parts.append(wire.HEADER.pack(call.number, len(payload), function.number, call.kind, attached))
        parts.append(payload)
        if attached:
            data = b"".join(parts)
            parts.clear()
            self._put(data, memory)

    def drop(self, call: "Call") -> bool:
        """call is not among its calls any more; whether it was."""
        with self.pool.lock:  # for both at a time: else who feeds it meanwhile finds room that is not there
            if self.outstanding.pop(call.number, None) is None:
                return False
            self.load -= call.cost
        return True

    def timed_call(self) -> Tuple[Optional["Call"], float]:
        """Return the call with a timeout that runs, and when it is over."""
        number, deadline = self.timed
        call = self.outstanding.get(number)
        return (None, _NEVER) if call is None or call.done() else (call, deadline)

    def _put(self, data: Any, memory: Optional[Descriptor]) -> None:
        """Send data, as much of it as the connection takes, and keep the rest."""
        if self.unsent:
            self.unsent.append((data, memory))
            return
        try:
            sent = self._sent(data, memory)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            if is_interrupt(error):  # which may be a TimeoutError
                raise
            self.retire()  # it has ended, as the pool's thread finds, too; or another is to run what can't be sent now
            return
        if sent < len(data):
            self.unsent.append((memoryview(data)[sent:], None if sent else memory))
            self.pool.watch(self)

    def _sent(self, data: Any, memory: Optional[Descriptor]) -> int:
        assert self.calls is not None
        return wire.send(self.calls, data, -1 if memory is None else memory.number)

    def send_rest(self) -> bool:
        """Send what the connection did not take; whether that was all."""
        while self.unsent:
            data, memory = self.unsent[0]
            try:
                sent = self._sent(data, memory)
            except BlockingIOError:
                return False
            except OSError:
                self.retire()
                sent = len(data)
            if sent < len(data):
                self.unsent[0] = memoryview(data)[sent:], None if sent else memory
            else:
                self.unsent.popleft()
        return True

    def receive(self, frames: List[wire.Frame]) -> None:
        """Give results to their calls."""
        self.receiver = get_ident()
        try:
            for at, (kind, number, taken, payload, descriptor) in enumerate(frames):
                call = self.outstanding.get(number)
                if call is not None:
                    call.function.measured(taken + _OVERHEAD_NS)
                    if descriptor == -1 or not call.done():
                        give(call, kind, payload, descriptor)
                if descriptor >= 0:
                    frames[at] = kind, number, taken, payload, -1  # before: an interrupt may have this done again
                    os.close(descriptor)
                if call is not None and self.drop(call):  # at last, too
                    self.ran += 1  # too few after an interrupt: the worker leaves what is too much, and another runs it
        finally:
            self.receiver = 0

    def read(self) -> bool:
        """Read what is there, and give results to their calls; False at the end. Who has locked reading may."""
        try:
            if not self.incoming.frames:
                self.incoming.read()
        except BlockingIOError:
            return True
        except (EOFError, OSError) as error:
            if is_interrupt(error):
                raise
            return False
        self.receive(self.incoming.frames)
        self.incoming.frames = []
        self.moved = time.monotonic()
        self.asked = False
        return True

    def mend(self) -> None:
        """Go on where an interrupt has left a thread that read. Who has locked reading may."""
        if self.incoming.is_torn() and not self.torn:
            self.torn = True
            self.retire()
        elif self.incoming.is_left():
            self.read()
        if self.unwatched:
            self.unwatched = False
            self.pool.watch(self, again=True)

    def read_rest(self) -> bool:
        """Read what a worker that has ended had sent; False when that was all. Who has locked reading may."""
        before = self.moved
        self.moved = -1.0
        went_on = self.read() and self.moved >= 0
        self.moved = max(before, self.moved)
        return went_on

    def read_last(self) -> int:
        """Read what is left of a worker that has ended, and return the number of the call that it had begun last. Who has
        locked reading may."""
        self.torn = self.torn or self.incoming.is_torn()
        try:
            while self.read_rest():
                pass
            frames, number = self.last_words()
            self.receive(frames)
            return number
        except Exception:  # a worker may have written anything
            self.torn = True
            return 0

    def lead(self, call: "Call") -> None:
        """Read results in the thread that waits for call, until it has ended: so it is woken once, and by the worker
        itself. Without effect where another thread reads."""
        if self.unsent or self.dead or self.retired:
            return
        poll, locked = self.pool.poll, Locked()
        try:
            if not locked.take(self.reading) or self.unwatched or self.incoming.is_left():
                return  # the pool's thread has to mend it first
            self.led_by, self.unwatched = call, True
            poll.unregister(self.calls)  # type: ignore[arg-type]
            try:
                while call.sleep_or_read(self) and self.read():
                    self.pool.feed(self)
            finally:
                self.led_by = None
                self.pool.watch(self, again=True)
                self.unwatched = False
        except Exception as error:
            if is_interrupt(error):
                raise
            # It has ended, or the pool's thread finds out what is wrong: it is not this call's.
        finally:
            if locked and locked[0]:  # without a call, behind which an interrupt may come
                self.reading.release()
                if self.dead:
                    self.close()
            if self.unwatched or self.incoming.is_left():
                self.pool.bell.ring()  # its thread mends what an interrupt has left

    def close(self) -> None:
        """Let go of its connections, which ends its task; of a dead one a thread that feeds it, or reads, does that when it
        is done: till then their numbers must not become others'."""
        with self.pool.lock:
            is_fed = self.feeding
        locked = Locked()
        try:
            if not is_fed and locked.take(self.reading):
                self._close()
        finally:
            if locked and locked[0]:  # without a call, behind which an interrupt may come
                self.reading.release()

    def _close(self) -> None:
        for connection in (self.calls, self.control):
            if connection is not None:
                connection.close()
        for _, _, _, _, descriptor in self.incoming.frames:  # which an interrupt has left
            if descriptor >= 0:
                os.close(descriptor)
        self.incoming.frames = []
        self.incoming.close()
        self.answers.close()
        self.unsent.clear()
        if self.outbox is not None:
            self.outbox.close()

    def last_words(self) -> Tuple[List[wire.Frame], int]:
        """Return the results that a worker had not sent when it died, and the number of the call that it had begun last."""
        assert self.outbox is not None
        number, size, _ = OUTBOX_HEADER.unpack_from(self.outbox, 0)
        data = self.outbox[OUTBOX_HEADER.size:OUTBOX_HEADER.size + size]
        frames, position = [], 0
        while position < len(data):
            call, length, taken, kind, _ = wire.HEADER.unpack_from(data, position)
            start = position + wire.HEADER.size
            position = start + length
            frames.append((kind, call, taken, data[start:position], -1))
        return frames, number

    def bar_behind(self, number: int) -> bool:
        """Whether the call of this number runs, or ran last; then no other begins in its worker. It takes no answer: a call
        may hold the worker's interpreter."""
        assert self.outbox is not None
        self.outbox[BARRED_AT] = 1  # before the look: the worker says first what it begins, and looks at this then
        with self.pool.lock:  # orders the two for the processor
            runs = OUTBOX_HEADER.unpack_from(self.outbox, 0)[0] == number
        if not runs:
            self.outbox[BARRED_AT] = 0  # if the worker saw it meanwhile its turn is over, and another runs what it has not begun
        return bool(runs)

    def stop(self, call: "Call") -> None:
        """Have a call stopped that runs, or is to run; by any thread."""
        self.pool.ask_to_stop(self, call)
