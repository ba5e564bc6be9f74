"""Lines: the upgraded connection as lines of text."""

from __future__ import annotations

import json
import select
import socket
import time
from typing import Iterator, List, Optional, Sequence, Tuple, Union

from .connection import TIMEOUTS, connect, remaining
from .exceptions import ConnectionLostError, CPULoadBalancerError, ResultTimeoutError, from_problem
from .large import Large, joined
from .splitter import Part, Splitter

Piece = Union[bytes, memoryview]
Rest = Tuple[Piece, Iterator[bytes]]  # what the connection did not take yet

_READ_BYTES = 64 << 10
_LARGE_READ_BYTES = 256 << 10  # about what the kernel holds for a connection
UPGRADE = (b"POST /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
           b"Upgrade: cpulb\r\nContent-Length: 0\r\n\r\n")
UPGRADE_SECONDS = 30
LEAST_SECONDS = 1  # for what the daemon answers at once, however little time the caller gave
_LONGEST_POLL_MILLISECONDS = 1 << 30


class Lines:
    """One connection. At any time one thread may receive and one may send."""

    def __init__(self, path: str, deadline: Optional[float] = None):
        """ResultTimeoutError when there is no answer until deadline, of time.monotonic(), but a second is given at least."""
        if deadline is not None:
            deadline = max(deadline, time.monotonic() + LEAST_SECONDS)
        try:
            self._socket = connect(path, _upgrade_seconds(deadline))
        except TIMEOUTS as error:
            raise _late(error, deadline) from error
        self._splitter = Splitter()
        self._ahead: List[Part] = []  # lines that came with the answer to the upgrade
        self._read_bytes = _READ_BYTES
        self._full_since: Optional[float] = None  # when the connection has begun to take nothing more
        try:
            self._upgrade(deadline)
            self._poll = self._poll_for(select.POLLIN)
        except BaseException:
            self._socket.close()
            raise

    def _upgrade(self, deadline: Optional[float]) -> None:
        received = b""
        try:
            self._socket.settimeout(_upgrade_seconds(deadline))
            self._socket.sendall(UPGRADE)
            while b"\r\n\r\n" not in received:
                self._socket.settimeout(_upgrade_seconds(deadline))
                chunk = self._socket.recv(_READ_BYTES)
                if not chunk:
                    raise ConnectionLostError("cpulbd closed the connection instead of answering")
                received += chunk
        except TIMEOUTS as error:
            raise _late(error, deadline) from error
        except OSError as error:
            raise ConnectionLostError(f"cpulbd did not answer: {error}") from error
        head, _, rest = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise refusal(head, rest)
        self._socket.setblocking(False)
        if rest:
            self._ahead = self._splitter.take(rest)  # a goaway

    def send(self, lines: Sequence[Union[bytes, Large]], deadline: Optional[float]) -> Optional[Rest]:
        """Send lines, each bytes or Large, in one call unless they are large. Return what the connection did not take until
        deadline, of time.monotonic() (None: for ever), for send_rest; None if it took all. OSError when it is gone."""
        try:
            text = b"".join(lines)  # type: ignore[arg-type]
        except TypeError:  # one of them is Large
            pieces = joined(lines)
            return self.send_rest((next(pieces), pieces), deadline)
        left = self._send_piece(text, deadline)
        return (left, iter(())) if left else None

    def send_rest(self, rest: Rest, deadline: Optional[float]) -> Optional[Rest]:
        """Like send, with what that has returned."""
        piece: Optional[Piece]
        piece, pieces = rest
        while piece is not None:
            piece = self._send_piece(piece, deadline)
            if piece:
                return piece, pieces
            piece = next(pieces, None)
        return None

    def _send_piece(self, piece: Piece, deadline: Optional[float]) -> Piece:
        try:
            sent = self._socket.send(piece)
            self._full_since = None
        except BlockingIOError:
            sent = 0
        return b"" if sent == len(piece) else self._send_slowly(memoryview(piece)[sent:], deadline)

    def _send_slowly(self, piece: memoryview, deadline: Optional[float]) -> Piece:
        self._full_since = self._full_since or time.monotonic()
        poll = self._poll_for(select.POLLOUT)
        while piece:
            if not poll.poll(_milliseconds(remaining(deadline))):
                return piece
            try:
                piece = piece[self._socket.send(piece):]
            except BlockingIOError:
                continue
            self._full_since = time.monotonic() if piece else None
        return piece

    def stalled_for(self) -> float:
        """Return for how many seconds the other side has taken nothing of what is to be sent."""
        since = self._full_since
        return 0.0 if since is None else time.monotonic() - since

    def _poll_for(self, events: int) -> select.poll:
        poll = select.poll()
        poll.register(self._socket, events)
        return poll

    def receive(self, timeout: Optional[float], or_send: bool = False) -> List[Part]:
        """Return the lines that came; none after timeout seconds at the latest (None: for ever), or when no line is
        complete yet, or, or_send, something can be sent. EOFError at the end."""
        if self._ahead:
            ahead, self._ahead = self._ahead, []
            return ahead
        # A read that blocks would be woken twice: also when the other side takes what was sent.
        poll = self._poll_for(select.POLLIN | select.POLLOUT) if or_send else self._poll
        events = poll.poll(_milliseconds(timeout))
        if not events or events[0][1] == select.POLLOUT:
            return []
        chunk = self._socket.recv(self._read_bytes)
        if not chunk:
            raise EOFError("cpulbd closed the connection")
        self._read_bytes = _READ_BYTES if len(chunk) < self._read_bytes else _LARGE_READ_BYTES
        return self._splitter.take(chunk)

    def shut(self) -> None:
        """End the connection; a thread that receives is woken by its end."""
        try:
            self._socket.shutdown(2)
        except OSError:
            pass  # the other side was faster

    def close(self) -> None:
        """Free the descriptor. No thread may be receiving."""
        self._socket.close()


def _upgrade_seconds(deadline: Optional[float]) -> float:
    return UPGRADE_SECONDS if deadline is None else max(min(UPGRADE_SECONDS, remaining(deadline)), 0.001)


def _late(error: Exception, deadline: Optional[float]) -> CPULoadBalancerError:
    if remaining(deadline) == 0:
        return ResultTimeoutError(f"cpulbd did not answer: {error}")
    return ConnectionLostError(f"cpulbd did not answer: {error}", "no_answer")


def _milliseconds(seconds: Optional[float]) -> Optional[float]:
    return None if seconds is None else min(seconds * 1000, _LONGEST_POLL_MILLISECONDS)


def refusal(head: bytes, body: bytes) -> CPULoadBalancerError:
    """Return why there is no stream, by the answer to the request for it."""
    try:
        return from_problem(json.loads(body), ConnectionLostError)
    except ValueError:
        first = head.split(b"\r\n", 1)[0].decode("latin-1")
        return ConnectionLostError(f"cpulbd refused the stream: {first}", "stream_refused")
