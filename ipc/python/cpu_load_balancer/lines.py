"""Lines: the upgraded connection as lines of JSON."""

import json
import select

from . import deep
from .connection import connect
from .exceptions import ConnectionLostError, from_problem

_CHUNK_BYTES = 64 << 10
_UPGRADE = (b"POST /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: cpulb\r\nContent-Length: 0\r\n\r\n")
_UPGRADE_SECONDS = 30
_LONGEST_POLL_MILLISECONDS = 1 << 30


class Lines:
    """One connection. At any time one thread may receive and one may send."""

    def __init__(self, path):
        self._socket = connect(path)
        self._parts = []  # of a line that is not complete
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
                chunk = self._socket.recv(_CHUNK_BYTES)
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
            # Nothing is sent before the client's first line but a goaway.
            self._parts.append(rest)

    def send(self, text):
        """Send one line in one call. OSError when the connection is gone."""
        self._socket.sendall(text.encode("ascii") + b"\n")

    def receive(self, timeout):
        """Return the lines that came, each as its size and what it says; none after timeout seconds (None:
        wait for ever) or when no line is complete yet. EOFError at the end."""
        if timeout is not None and not self._poll.poll(min(timeout * 1000, _LONGEST_POLL_MILLISECONDS)):
            return []
        chunk = self._socket.recv(_CHUNK_BYTES)
        if not chunk:
            raise EOFError("cpulbd closed the connection")
        if b"\n" not in chunk:
            self._parts.append(chunk)
            return []
        if self._parts:
            chunk = b"".join((*self._parts, chunk))
            self._parts = []
        *lines, rest = chunk.split(b"\n")
        if rest:
            self._parts.append(rest)
        return [(len(line), deep.loads(line)) for line in lines]

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
