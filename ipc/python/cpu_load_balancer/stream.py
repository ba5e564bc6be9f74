"""One upgraded connection to the daemon, shared by threads without a thread of its own.

Whoever waits while nobody reads becomes the leader: it reads the socket and hands
to the other waiters what is theirs. When the leader has what it came for, it wakes
one of them to lead. So the usual case, one thread that waits for one answer, costs
two system calls and no switch between threads.

Guarantees: an answer reaches everyone who waits for it; a waiter that gives up, by
its deadline or by an exception, never takes the lead with it; a connection that is
lost is told to every waiter. Does not reconnect: a lost Stream stays lost.
"""
from __future__ import annotations

import json
import math
import select
import socket
import struct
import threading
import time
from collections import OrderedDict, deque
from typing import Any, Deque, Dict, List, Optional

from .exceptions import EngineUnavailableError, ProtocolError, error_from

_CHUNK = 256 << 10
_SEND_TIMEOUT_SECONDS = 30

#: Bound on results that have come and that nobody has asked for yet. Older ones
#: are dropped; the daemon still has them.
UNCLAIMED_RESULTS = 10_000
UNCLAIMED_BYTES = 64 << 20


class Pending:
    """An answer that is waited for."""

    __slots__ = ("answer", "size", "waiters", "task_id")

    def __init__(self, task_id: str):
        self.task_id = task_id
        self.answer: Any = None
        self.size = 0  # bytes of the line that brought it
        self.waiters: List[Any] = []


class Stream:
    """The connection; connect() makes one."""

    def __init__(self, sock: socket.socket, unread: bytes = b""):
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._parts: List[bytes] = [unread] if unread else []
        self._sending = threading.Lock()  # taken before _lock, held while a line is written
        self._lock = threading.Lock()  # guards all below; never held while blocking
        self._leading = False
        self._followers: Dict[Any, None] = {}  # locks on which waiters sleep, in order of arrival
        self._unanswered: Deque[Pending] = deque()  # submissions, in the order of their lines
        self._results: Dict[str, Pending] = {}
        self._unclaimed: "OrderedDict[str, Pending]" = OrderedDict()
        self._unclaimed_bytes = 0
        self._lost: Optional[Exception] = None
        self._leaving = False

    @property
    def usable(self) -> bool:
        """Whether the daemon takes further tasks here."""
        return self._lost is None and not self._leaving

    @property
    def results_come(self) -> bool:
        """Whether results may still arrive here or wait here for their callers."""
        return self._lost is None or bool(self._unclaimed)

    def submit(self, task_id: str, line: bytes) -> Pending:
        """Send a submission; wait() for the Pending, whose answer is the line that
        accepts or rejects it."""
        answer = Pending(task_id)
        with self._sending:
            with self._lock:
                if self._lost:
                    raise self._lost.with_traceback(None)
                self._unanswered.append(answer)
                if task_id not in self._results:
                    self._results[task_id] = Pending(task_id)
            try:
                self._sock.sendall(line)
            except BaseException as e:  # half a line may be out: nobody can go on here
                self._fail(e)
                if isinstance(e, OSError):
                    raise self._lost from e
                raise
        return answer

    def result_of(self, task_id: str) -> Optional[Pending]:
        """Return the Pending of a task's result, None if that does not come here."""
        with self._lock:
            return self._results.get(task_id)

    def claim(self, pending: Pending) -> None:
        """Forget a result that has been handed to its caller."""
        with self._lock:
            self._results.pop(pending.task_id, None)
            if self._unclaimed.pop(pending.task_id, None) is not None:
                self._unclaimed_bytes -= pending.size

    def wait(self, pending: Pending, deadline: Optional[float]) -> bool:
        """Return True once pending has its answer, False when time.monotonic() has
        passed deadline. Raises EngineUnavailableError when the connection is lost."""
        while pending.answer is None:
            if deadline is not None and time.monotonic() >= deadline and not self._lost:
                return False
            if not self._lead(pending, deadline):
                self._follow(pending, deadline)
        return True

    def close(self) -> None:
        """End the connection; every waiter is told."""
        self._fail(EngineUnavailableError("the engine has been closed", "closed"))

    def abandon(self) -> None:
        """Drop the descriptor and leave the connection to whoever else has it: the
        parent, after a fork."""
        self._sock.close()

    def _lead(self, pending: Pending, deadline: Optional[float]) -> bool:
        """Read until pending has its answer or the deadline has passed; False when
        somebody else does so already."""
        mine = False
        try:
            with self._lock:
                if self._lost:
                    raise self._lost.with_traceback(None)
                if self._leading:
                    return False
                mine = self._leading = True
            while pending.answer is None and self._readable(deadline):
                self._read()
            return True
        finally:
            if mine:
                with self._lock:
                    self._leading = False
                    if self._lost:
                        self._sock.close()
                    self._wake_one()

    def _follow(self, pending: Pending, deadline: Optional[float]) -> None:
        """Sleep until pending may have its answer or there is nobody who leads."""
        nap, woken = threading.Lock(), False
        nap.acquire()
        try:
            with self._lock:
                if pending.answer is not None or self._lost or not self._leading:
                    return
                self._followers[nap] = None
                pending.waiters.append(nap)
            left = -1 if deadline is None else min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
            woken = nap.acquire(timeout=left)
        finally:
            with self._lock:
                self._followers.pop(nap, None)
                if nap in pending.waiters:
                    pending.waiters.remove(nap)
                if not woken:
                    self._wake_one()  # it may have been chosen to lead meanwhile, and won't

    def _wake_one(self) -> None:
        """Choose a leader among the followers. As all below, with _lock held."""
        if not self._leading and self._followers:
            nap = next(iter(self._followers))
            del self._followers[nap]
            nap.release()

    def _wake(self, naps: List[Any]) -> None:
        for nap in naps:
            if nap in self._followers:
                del self._followers[nap]
                nap.release()

    def _readable(self, deadline: Optional[float]) -> bool:
        if deadline is None:
            return bool(self._poll.poll())
        left = max(0.0, deadline - time.monotonic())
        return bool(self._poll.poll(min(math.ceil(left * 1000), 2**31 - 1)))

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
            if not data:
                raise ConnectionResetError("the daemon closed it")
            self._take(data)
        except BaseException as e:  # what was read is lost, also to an interrupt
            self._fail(e)
            if not isinstance(e, Exception):
                raise

    def _take(self, data: bytes) -> None:
        end = data.rfind(b"\n")
        if end < 0:
            self._parts.append(data)  # a long line; joined once, when it is whole
            return
        self._parts.append(data[:end])
        lines = b"".join(self._parts).split(b"\n")
        self._parts = [data[end + 1:]] if end + 1 < len(data) else []
        for line in lines:
            event = json.loads(str(line, "utf-8"))
            with self._lock:
                self._deliver(event, len(line))

    def _deliver(self, event: Dict[str, Any], size: int) -> None:
        kind = event.get("event")
        if kind == "result":
            self._deliver_result(event, size)
        elif kind == "accepted" or kind == "rejected":
            self._deliver_answer(event)
        elif kind == "goaway":
            self._leaving = True  # results still come until the daemon hangs up

    def _deliver_answer(self, event: Dict[str, Any]) -> None:
        # The daemon answers submissions in the order of their lines.
        if not self._unanswered:
            raise ProtocolError("%s without a submission: %.200r" % (event["event"], event))
        pending = self._unanswered.popleft()
        named = event.get("task_id")
        if named is not None and named != pending.task_id:
            raise ProtocolError("%s for task %s where the answer for %s was due" % (event["event"], named, pending.task_id))
        pending.answer = event
        if event["event"] == "rejected":
            self._results.pop(pending.task_id, None)
        self._wake(pending.waiters)

    def _deliver_result(self, event: Dict[str, Any], size: int) -> None:
        pending = self._results.get(event["task_id"])
        if pending is None or pending.answer is not None:
            return  # claimed before: the task was submitted twice
        pending.answer, pending.size = event["result"], size
        self._wake(pending.waiters)
        self._unclaimed[pending.task_id] = pending
        self._unclaimed_bytes += size
        while len(self._unclaimed) > UNCLAIMED_RESULTS or self._unclaimed_bytes > UNCLAIMED_BYTES and len(self._unclaimed) > 1:
            _, old = self._unclaimed.popitem(last=False)
            self._unclaimed_bytes -= old.size
            self._results.pop(old.task_id, None)

    def _fail(self, cause: BaseException) -> None:
        with self._lock:
            if self._lost is None:
                known = isinstance(cause, (EngineUnavailableError, ProtocolError))
                self._lost = cause if known else EngineUnavailableError("the connection to the daemon was lost: %s" % (cause or type(cause).__name__), "connection_lost")
                try:
                    self._sock.shutdown(socket.SHUT_RDWR)  # wakes the leader, who closes
                except OSError:
                    pass
                if not self._leading:
                    self._sock.close()
            self._wake(list(self._followers))


def connect(path: str, timeout: float) -> Stream:
    """Connect and upgrade. Raises EngineUnavailableError when no daemon answers
    there, ProtocolError when something else does."""
    sock = dial(path, timeout)
    try:
        sock.sendall(b"POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(4096)
            if not data:
                raise EngineUnavailableError("%s: the daemon closed the connection" % path, "connection_lost")
            head += data
            if len(head) > 64 << 10:
                raise ProtocolError("%s: no HTTP answer within 64 KiB" % path)
        head, _, rest = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise _refusal(path, head, rest)
        sock.settimeout(None)
        # A daemon that has stopped reading must not hold a sender for ever.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", _SEND_TIMEOUT_SECONDS, 0))
        return Stream(sock, rest)
    except OSError as e:
        sock.close()
        if isinstance(e, EngineUnavailableError):
            raise
        raise EngineUnavailableError("%s: %s" % (path, e), "connection_lost") from e
    except BaseException:
        sock.close()
        raise


def _refusal(path: str, head: bytes, body: bytes) -> Exception:
    try:
        return error_from(json.loads(body))
    except ValueError:
        return ProtocolError("%s: not a cpulbd: %.80r" % (path, head.split(b"\r\n")[0]))


def dial(path: str, timeout: float) -> socket.socket:
    """Return a connection to the socket at path."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
        return sock
    except OSError as e:
        sock.close()
        raise EngineUnavailableError(
            "no daemon answers at %s: %s; start cpulbd, or name its socket by Engine(path) or CPULB_SOCKET" % (path, e.strerror or e)
        ) from e
