"""The worker's side: a task of the daemon that runs the calls of one Executor.

It is sent as text and loaded once in each worker process; what it prepares while it
is loaded, and what the initializer does, is the state of the process at each of its
tasks. A task connects twice to the Executor: calls come and results go on one
connection, which the task's thread alone reads while no call runs; the other is
served by a thread of its own, for what can't wait for a call's end.

Results are written into an outbox, memory that the Executor maps, too, and sent
from there: at once when nothing more is to be run, else together. So when the
process dies the Executor finds there what had ended, and which call was running.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
import sys
import time
from collections import deque
from threading import Lock, Thread
from typing import Any, Callable, Deque, Dict, Iterable, List

from . import memory, wire
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
_CONNECT_SECONDS = 15.0  # longer than a guest of the Executor may say nothing
_AGAIN_SECONDS = 0.1
_UNLIMITED = float("inf")


class Process:
    """What the calls of one Executor have in common in a worker process."""

    def __init__(self, settings: Dict[str, Any]) -> None:
        self.address = settings["address"]
        self.secret = bytes.fromhex(settings["secret"])
        self.main: Any = None
        self.dumps: Callable[..., bytes] = pickle.dumps
        self.output: List[Any] = []  # in place of sys.stdout and sys.stderr
        self._prepare()

    def connect(self, carrier: int, what: str) -> socket.socket:
        connection = self._connect()
        version = "%d.%d" % sys.version_info[:2]
        hello = ("%s %s %d" % (what, version, os.getpid())).encode()
        wire.send_all(connection, wire.frame(wire.HELLO, carrier, 0, hello))
        return connection

    def _connect(self) -> socket.socket:
        """Return a connection to the Executor, which turns away who comes while it greets too many."""
        until = time.monotonic() + _CONNECT_SECONDS
        while True:
            try:
                return wire.connect(self.address, self.secret)
            except (EOFError, ConnectionResetError, BrokenPipeError):  # not ConnectionRefusedError: nobody listens any more
                if time.monotonic() > until:
                    raise
                time.sleep(_AGAIN_SECONDS)

    def _prepare(self) -> None:
        """Make the process one that can run the Executor's calls, and call the initializer."""
        with self.connect(0, "prepare") as connection:
            incoming = wire.Incoming(connection)
            frames: List[wire.Frame] = []
            while len(frames) < 3:
                frames += incoming.read()
            self.output = [os.fdopen(frame[4], "w", encoding="utf-8", errors="backslashreplace") for frame in frames[1:]]
            try:
                self.redirect()
                given = pickle.loads(frames[0][3]) if frames[0][4] < 0 else memory.decode(frames[0][3], frames[0][4])
                prepare(given)
                self.dumps = pickle.loads(given["dumps"])
                self.main = sys.modules["__main__"]
            except BaseException:
                wire.send_all(connection, wire.frame(wire.FAILED, 0, 0, failure()))
                raise
            finally:
                self.flush()
            wire.send_all(connection, wire.frame(wire.READY))

    def redirect(self) -> None:
        """Have what calls print appear where the Executor's program prints."""
        if self.output:
            sys.stdout, sys.stderr = self.output

    def flush(self) -> None:
        for stream in self.output:
            try:
                stream.flush()
            except (OSError, ValueError):
                pass  # nobody reads it any more

    def serve(self, carrier: int, limits: Dict[str, float], context: Any) -> Dict[str, int]:
        """Run calls until the Executor has no more, or the task's time is over."""
        if self.main is not None:
            sys.modules["__main__"] = sys.modules["__mp_main__"] = self.main
        self.redirect()
        with self.connect(carrier, "calls") as calls, self.connect(carrier, "control") as control:
            turn = Turn(self, calls, control, limits, context)
            try:
                turn.run()
            finally:
                turn.close()
                self.flush()
        return {"calls": turn.done}


def prepare(given: Dict[str, Any]) -> None:
    """Do what multiprocessing's spawn does in a new process, and call the initializer."""
    from multiprocessing import process, spawn
    os.environ.clear()
    os.environ.update(given["environ"])
    preparation = given["preparation"]
    if "sys_path" in preparation:
        before, after = given["path"]
        preparation["sys_path"] = [*before, *(entry for entry in sys.path if entry), *after]
    current: Any = process.current_process()
    current._inheriting = True  # an Executor that the main module makes now is an error
    try:
        spawn.prepare(preparation)
    finally:
        del current._inheriting
    sys.path_importer_cache.clear()
    initializer, arguments = pickle.loads(given["initializer"])
    if initializer is not None:
        initializer(*arguments)


class Turn:
    """One task: a turn of a worker for the Executor."""

    def __init__(self, process: Process, calls: socket.socket, control: socket.socket, limits: Dict[str, float], context: Any) -> None:
        from cpulb import TaskCancelled
        self.stopped = TaskCancelled
        self.process = process
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

    def close(self) -> None:
        for connection in (self.connection, self.control):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.helper.join(_LOOK_SECONDS)
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
            args, kwargs = pickle.loads(payload) if descriptor < 0 else memory.decode(payload, descriptor)
            if number:
                function = self.functions[number]
                if not callable(function):  # the text of why it could not be had
                    return wire.UNREADABLE, function, -1
            else:
                function, args = args[0], args[1:]
            del call, payload
        except self.stopped:
            raise
        except Exception:
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
            return (wire.RESULT, *memory.encode(value, self.process.dumps))
        except BaseException as error:
            if isinstance(error, self.stopped) and self.context.cancelled:
                raise
            return (wire.RAISED, *raised(error, self.process.dumps))

    def _write(self, kind: int, number: int, taken: int, payload: bytes, descriptor: int, now: int) -> None:
        """Put a result into the outbox, or send it if it is large."""
        size = wire.HEADER.size + len(payload)
        with self.writing:
            if descriptor >= 0 or self.used + size > _START + OUTBOX_BYTES:
                self._send()
            if descriptor >= 0 or size > OUTBOX_BYTES:
                wire.send_all(self.connection, wire.frame(kind, number, taken, payload, descriptor >= 0), descriptor)
                if descriptor >= 0:
                    os.close(descriptor)
                return
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
            self.process.flush()  # what a call has printed is there before its result
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
                    self.functions[frame[2]] = pickle.loads(frame[3]) if frame[4] < 0 else memory.decode(frame[3], frame[4])
                except Exception:
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
                    if kind == wire.GIVE_BACK:
                        self.send()
                        back = b"".join(_NUMBER.pack(other) for other in self._take_back())
                        wire.send_all(self.control, wire.frame(wire.GIVEN_BACK, 0, 0, back))
                    elif kind == wire.STOP:
                        wire.send_all(self.control, wire.frame(self._stop(number), number))
        except (EOFError, OSError):
            with self.turn:
                self.last = True  # the Executor has ended, or wants no more of this worker
            try:
                self.connection.shutdown(socket.SHUT_RD)  # wakes who waits for calls
            except OSError:
                pass

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
