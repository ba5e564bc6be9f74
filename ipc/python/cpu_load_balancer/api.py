"""Single HTTP calls on the daemon's socket, for what does not go over the stream."""

import http.client
from contextlib import contextmanager

from . import deep
from .connection import connect
from .exceptions import ConnectionLostError, ResultTimeoutError, from_problem

_CHUNK_BYTES = 64 << 10


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("cpulb", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = connect(self._path)
        self.sock.settimeout(self.timeout)


def call(path, method, url, timeout, body=None):
    """Make one request, with body, which is JSON text, if it is not None, and return the status and the
    JSON of the answer. A problem is raised as the exception of its code."""
    connection = _Connection(path, timeout)
    try:
        with _lost(f"{method} {url} at {path}"):
            connection.request(method, url, body, {} if body is None else {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
    finally:
        connection.close()
    answer = _decoded(response, text)
    if response.status >= 400:
        raise from_problem(answer)
    return response.status, answer


def follow(path, url, timeout):
    """Yield each line of a long answer as what it says. ResultTimeoutError when none comes for timeout seconds (None:
    wait for ever); ConnectionLostError when the answer ends before it is complete."""
    connection = _Connection(path, timeout)
    try:
        with _lost(f"GET {url} at {path}", ResultTimeoutError):
            connection.request("GET", url)
            response = connection.getresponse()
            problem = response.read() if response.status >= 400 else None
        if problem is not None:
            raise from_problem(_decoded(response, problem))
        rest = []  # of a line that is not complete
        while True:
            with _lost(f"GET {url} at {path}", ResultTimeoutError):
                chunk = response.read1(_CHUNK_BYTES)  # readline takes a lost connection for the end
            if not chunk:
                return
            *lines, last = chunk.split(b"\n")
            for line in lines:
                yield _decoded(response, b"".join((*rest, line)))
                rest = []
            rest.append(last)
    finally:
        connection.close()


@contextmanager
def _lost(what, late=ConnectionLostError):
    """Raise what goes wrong within as ConnectionLostError, or as late if it took too long."""
    try:
        yield
    except TimeoutError as e:
        raise late(f"{what}: no answer in the time given") from e
    except (OSError, http.client.HTTPException) as e:
        raise ConnectionLostError(f"{what}: {str(e) or type(e).__name__}") from e


def _decoded(response, text):
    try:
        return deep.loads(text)
    except ValueError as e:
        raise ConnectionLostError(f"cpulbd answered {response.status} without JSON", "bad_answer") from e
