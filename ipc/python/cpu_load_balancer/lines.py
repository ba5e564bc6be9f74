"""Lines: the upgraded connection as lines of text."""

import json
import select

from .connection import connect
from .exceptions import ConnectionLostError, from_problem
from .large import joined

_READ_BYTES = 64 << 10
_LARGE_READ_BYTES = 256 << 10  # about what the kernel holds for a connection
_LONG_LINE_BYTES = 1 << 20
_UPGRADE = (b"POST /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: cpulb\r\nContent-Length: 0\r\n\r\n")
_UPGRADE_SECONDS = 30
_LONGEST_POLL_MILLISECONDS = 1 << 30


class Lines:
    """One connection. At any time one thread may receive and one may send."""

    def __init__(self, path):
        self._socket = connect(path)
        self._parts = []  # of a line that is not complete
        self._long = False  # they are one bytearray
        self._ahead = []  # lines that came with the answer to the upgrade
        self._read_bytes = _READ_BYTES
        try:
            self._upgrade()
            self._poll = select.poll()
            self._poll.register(self._socket, select.POLLIN)
        except BaseException:
            self._socket.close()
            raise

    def _upgrade(self):
        self._socket.settimeout(_UPGRADE_SECONDS)
        received = b""
        try:
            self._socket.sendall(_UPGRADE)
            while b"\r\n\r\n" not in received:
                chunk = self._socket.recv(_READ_BYTES)
                if not chunk:
                    raise ConnectionLostError("cpulbd closed the connection instead of answering")
                received += chunk
        except OSError as error:
            raise ConnectionLostError(f"cpulbd did not answer: {error}") from error
        head, _, rest = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise _refusal(head, rest)
        self._socket.settimeout(None)
        if rest:
            self._ahead = self._split(rest)  # a goaway

    def send(self, lines):
        """Send lines, each bytes or Large, in one call unless they are large. OSError when the connection is gone."""
        for piece in joined(lines):
            self._socket.sendall(piece)

    def receive(self, timeout):
        """Return the lines that came; none after timeout seconds at the latest (None: for ever), or when no line is
        complete yet. EOFError at the end."""
        if self._ahead:
            ahead, self._ahead = self._ahead, []
            return ahead
        # A read that blocks would be woken twice: also when the other side takes what was sent.
        if not self._poll.poll(None if timeout is None else min(timeout * 1000, _LONGEST_POLL_MILLISECONDS)):
            return []
        chunk = self._socket.recv(self._read_bytes)
        if not chunk:
            raise EOFError("cpulbd closed the connection")
        self._read_bytes = _READ_BYTES if len(chunk) < self._read_bytes else _LARGE_READ_BYTES
        return self._split(chunk)

    def _split(self, chunk):
        lines = []
        if self._parts:
            end = chunk.find(b"\n")
            if end < 0:
                self._append(chunk)
                return lines
            self._append(chunk[:end])
            lines.append(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts.clear()
            self._long = False
            chunk = chunk[end + 1:]
        lines += chunk.split(b"\n")
        if rest := lines.pop():
            self._parts.append(rest)
        return lines

    def _append(self, part):
        """Add to the line that is not complete. A long one grows where it is: to join its parts would take as much
        memory again."""
        if self._long:
            self._parts[0] += part
            return
        self._parts.append(part)
        if len(self._parts) * len(part) >= _LONG_LINE_BYTES:
            self._parts, self._long = [bytearray().join(self._parts)], True

    def shut(self):
        """End the connection; a thread that receives is woken by its end."""
        try:
            self._socket.shutdown(2)
        except OSError:
            pass  # the other side was faster

    def close(self):
        """Free the descriptor. No thread may be receiving."""
        self._socket.close()


def _refusal(head, body):
    try:
        return from_problem(json.loads(body), ConnectionLostError)
    except ValueError:
        first = head.split(b"\r\n", 1)[0].decode("latin-1")
        return ConnectionLostError(f"cpulbd refused the stream: {first}", "stream_refused")
