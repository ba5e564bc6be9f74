"""Turn: one task of the daemon that runs calls of an Executor, in a worker."""

from __future__ import annotations

import mmap
import os
import pickle
import select
import socket
import struct
import time
from collections import deque
from threading import Lock, Thread
from typing import Any, Callable, Deque, Dict, Iterable, List

from . import memory, wire
from .output import Output
from .raised import failure, raised

OUTBOX_BYTES = 512 << 10
# The call that runs, or ran last; bytes of the results behind; and what the Executor writes: whether no call may begin.
OUTBOX_HEADER = struct.Struct("<QQQ")
_NUMBER = struct.Struct("<Q")
_SIZE_AT = 8
BARRED_AT = 16
_START = OUTBOX_HEADER.size
_TOGETHER_NS = 500_000  # results wait for others for so long
_MOST_NS = (1 << 32) - 1
_LOOK_SECONDS = 1.0  # so often a task that waits for calls looks whether it is to end
_UNLIMITED = float("inf")


class Turn:
    """One task: a turn of a worker for the Executor."""

    def __init__(self, dumps: Callable[..., bytes], output: Output, calls: socket.socket, control: socket.socket,
                 limits: Dict[str, float], context: Any) -> None:
        from cpulb import TaskCancelled
        self.stopped = TaskCancelled
        self.dumps = dumps
        self.output = output
        self.context = context
        self.connection = calls
        self.control = control
        self.incoming = wire.Incoming(calls)
        self.reading = Lock()  # of the connection, with what has been read in part
        self.turn = Lock()  # of what follows: which call comes next
        self.waiting: Deque[wire.Frame] = deque()
        self.current = 0
        self.last = False  # no other call is to begin
        self.writing = Lock()  # of the outbox and the connection's other direction
        self.used = _START
        self.since = 0
        self.done = 0
        self.left = limits.get("calls") or _UNLIMITED
        self.linger = limits.get("linger") or _UNLIMITED
        self.until = time.monotonic() + (limits.get("seconds") or _UNLIMITED)
        self.functions: Dict[int, Callable[..., Any]] = {}
        self.outbox = self._offer_outbox()
        self._take_output()
        wait = min(_LOOK_SECONDS, self.linger)
        calls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(wait), int(wait % 1 * 1e6)))
        self.helper = Thread(target=self._obey, name="cpulb futures", daemon=True)
        self.helper.start()

    def _offer_outbox(self) -> mmap.mmap:
        descriptor = os.memfd_create("cpulb-outbox", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, _START + OUTBOX_BYTES)
            wire.send_all(self.connection, wire.frame(wire.READY, 0, 0, b"", True), descriptor)
            return mmap.mmap(descriptor, _START + OUTBOX_BYTES)
        finally:
            os.close(descriptor)

    def _take_output(self) -> None:
        """Have calls print where the Executor's program does."""
        frames: List[wire.Frame] = []
        try:
            while len(frames) < 2:
                frames += self.incoming.read()
        except (EOFError, OSError):
            self.last = True  # the Executor has ended, or has turned it away
            _close_memory(frames)
            return
        self.output.begin([frame[4] for frame in frames[:2]])
        self._keep(frames[2:])

    def close(self) -> None:
        for connection in (self.connection, self.control):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.helper.join(_LOOK_SECONDS)
        self.output.flush()
        self.output.end()
        self.incoming.close()
        _close_memory(self.waiting)

    def run(self) -> None:
        """Run what comes, in its order."""
        outbox, waiting, clock = self.outbox, self.waiting, time.perf_counter_ns
        ended = clock()
        while True:
            with self.turn:
                call = waiting.popleft() if waiting and not self.last and self.left > 0 else None
                if call is not None:
                    number = call[1]
                    _NUMBER.pack_into(outbox, 0, number)
                    if outbox[BARRED_AT]:  # the Executor has the one before stopped, which may come only now
                        _NUMBER.pack_into(outbox, 0, self.current)
                        waiting.appendleft(call)
                        self.last, call = True, None
                    else:
                        self.current = number
            if call is None:
                self.send()
                if self.last or self.left <= 0 or not self._receive():
                    return
                ended = clock()
                continue
            kind, payload, descriptor = self._answer(call)
            call = None
            began, ended = ended, clock()
            self._write(kind, number, min(ended - began, _MOST_NS), payload, descriptor, ended)
            self.left -= 1
            self.done += 1

    def _answer(self, call: wire.Frame) -> Any:
        """Run a call and return what is to be said of it."""
        kind, _, number, payload, descriptor = call
        function: Any
        try:
            args, kwargs = memory.take(payload, descriptor)
            if number:
                function = self.functions[number]
                if not callable(function):  # the text of why it could not be had
                    return wire.UNREADABLE, function, -1
            else:
                function, args = args[0], args[1:]
            del call, payload
        except BaseException as error:
            if self._is_cancelled(error):
                raise
            return wire.UNREADABLE, failure(), -1
        try:
            if kind == wire.CHUNK:
                value = [function(*each) for each in args[0]]
            else:
                value = function(*args, **kwargs)
            del args, kwargs
            if type(value) in memory.ATOMS:
                text = pickle.dumps(value, 5)
                return (wire.RESULT, *(memory.attach([memoryview(text)]) if len(text) >= memory.LARGE_BYTES else (text, -1)))
            return (wire.RESULT, *memory.encode(value, self.dumps))
        except BaseException as error:
            if self._is_cancelled(error):
                raise
            return (wire.RAISED, *raised(error, self.dumps))

    def _is_cancelled(self, error: BaseException) -> bool:
        """Whether the daemon ends this task by error, and a call has not just raised such a one."""
        return isinstance(error, self.stopped) and bool(self.context.cancelled)

    def _write(self, kind: int, number: int, taken: int, payload: bytes, descriptor: int, now: int) -> None:
        """Put a result into the outbox, or send it if it is large."""
        size = wire.HEADER.size + len(payload)
        if descriptor >= 0 or size > OUTBOX_BYTES:
            try:
                with self.writing:
                    self._send()
                    wire.send_all(self.connection, wire.frame(kind, number, taken, payload, descriptor >= 0), descriptor)
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            return
        with self.writing:
            if self.used + size > _START + OUTBOX_BYTES:
                self._send()
            used = self.used
            if used == _START:
                self.since = now
            wire.HEADER.pack_into(self.outbox, used, number, len(payload), taken, kind, 0)
            self.used = used + size
            self.outbox[used + wire.HEADER.size:self.used] = payload
            _NUMBER.pack_into(self.outbox, _SIZE_AT, self.used - _START)
            if now - self.since > _TOGETHER_NS:
                self._send()

    def send(self) -> None:
        """Send what is in the outbox."""
        with self.writing:
            self._send()

    def _send(self) -> None:
        if self.used > _START:
            self.output.flush()  # what a call has printed is there before its result
            wire.send_all(self.connection, self.outbox[_START:self.used])
            self.used = _START
            _NUMBER.pack_into(self.outbox, _SIZE_AT, 0)

    def _receive(self) -> bool:
        """Wait for calls; False when there will be none."""
        idle_until = time.monotonic() + self.linger
        while True:
            if time.monotonic() > self.until:
                return False
            try:
                with self.reading:
                    self._keep(self.incoming.read())
                if self.waiting:
                    return True
            except BlockingIOError:
                self.context.check_cancelled()
                if time.monotonic() > idle_until:
                    return False
            except (EOFError, OSError):
                return False  # the Executor is done, or has ended

    def _keep(self, frames: List[wire.Frame]) -> None:
        for frame in frames:
            if frame[0] == wire.FUNCTION:
                try:
                    self.functions[frame[2]] = memory.take(frame[3], frame[4])
                except BaseException as error:  # a module may exit that is imported for it
                    if self._is_cancelled(error):
                        raise
                    self.functions[frame[2]] = failure()  # type: ignore[assignment]
            else:
                with self.turn:  # else who takes calls back meanwhile overlooks it, and forgets it
                    self.waiting.append(frame)

    def _obey(self) -> None:
        """Do as the control connection says, to its end."""
        incoming = wire.Incoming(self.control)
        try:
            while True:
                for kind, number, _, _, _ in incoming.read():
                    self._obey_one(kind, number)
        except Exception:
            pass  # the Executor has ended, or wants no more of this worker; what can't be obeyed any more ends the turn, too
        with self.turn:
            self.last = True
        try:
            self.connection.shutdown(socket.SHUT_RD)  # wakes who waits for calls
            self._watch_end()
        except (OSError, ValueError):
            pass  # the turn is over already

    def _obey_one(self, kind: int, number: int) -> None:
        if kind == wire.GIVE_BACK:
            self.send()
            back = b"".join(_NUMBER.pack(other) for other in self._take_back())
            wire.send_all(self.control, wire.frame(wire.GIVEN_BACK, 0, 0, back))
        elif kind == wire.STOP:
            wire.send_all(self.control, wire.frame(self._stop(number), number))

    def _watch_end(self) -> None:
        """Wait until the Executor has ended, or the turn. A call may run on for long: it prints nowhere then."""
        poll = select.poll()
        poll.register(self.control, 0)  # says when the other end is closed in both directions, or this one
        poll.poll()
        self.output.end()

    def _take_back(self) -> List[int]:
        """Return the calls that have not begun, which will not."""
        self._pull()
        with self.turn:
            frames = list(self.waiting)
            self.waiting.clear()
        _close_memory(frames)
        return [frame[1] for frame in frames]

    def _pull(self) -> None:
        """Read what has come while a call runs."""
        if self.reading.acquire(False):  # else none runs, and all that came has been run
            try:
                self._keep(self.incoming.read(socket.MSG_DONTWAIT))
            except (EOFError, OSError):
                pass
            finally:
                self.reading.release()

    def _stop(self, number: int) -> int:
        """Return what is to be known of a call that is not wanted any more. One that runs is to be the last: the daemon
        will be asked to stop this task, and no other call may be hit by that."""
        self._pull()
        with self.turn:
            for frame in self.waiting:
                if frame[1] == number:
                    self.waiting.remove(frame)
                    if frame[4] >= 0:
                        os.close(frame[4])
                    return wire.TAKEN
            if self.current == number:
                self.last = True
                return wire.RUNNING
        return wire.GONE


def _close_memory(frames: Iterable[wire.Frame]) -> None:
    for frame in frames:
        if frame[4] >= 0:
            os.close(frame[4])
