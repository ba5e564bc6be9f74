"""Single HTTP calls on the daemon's socket, for what does not go over the stream."""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager
from typing import Any, Iterable, Iterator, List, Optional, Tuple, Type, Union

from . import deep
from .chunks import Chunks
from .connection import TIMEOUTS, connect
from .exceptions import ConnectionLostError, CPULoadBalancerError, ResultTimeoutError, from_problem

_READ_BYTES = 256 << 10
_LONGEST_SECONDS = 2_000_000  # that a socket waits, somewhat more than three weeks; who gives more waits for ever


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: Optional[float]):
        if timeout is not None and timeout > _LONGEST_SECONDS:
            timeout = None
        super().__init__("cpulb", timeout=timeout)
        self._path = path
        self._seconds = timeout

    def connect(self) -> None:
        self.sock: socket.socket = connect(self._path, self._seconds)
        self.sock.settimeout(self._seconds)


def call(path: str, method: str, url: str, timeout: Optional[float], body: Union[None, str, Iterable[bytes]] = None,
         kind: str = "application/json", late: Type[CPULoadBalancerError] = ConnectionLostError) -> Tuple[int, Any]:
    """Make one request, with body, if it is not None, which is text of this kind or yields pieces of it as bytes. Return
    the status and the JSON of the answer. A problem is raised as the exception of its code, and late when nothing comes
    for timeout seconds."""
    connection = _Connection(path, timeout)
    try:
        with _lost(f"{method} {url} at {path}", late):
            try:
                connection.request(method, url, body, {} if body is None else {"Content-Type": kind})
            except (BrokenPipeError, ConnectionResetError):
                pass  # a body may be refused, with an answer, before all of it has been sent
            response = connection.getresponse()
            text = response.read()
    finally:
        connection.close()
    answer = _decoded(response, text)
    if response.status >= 400:
        raise from_problem(answer)
    return response.status, answer


def follow(path: str, url: str, timeout: Optional[float]) -> Iterator[List[bytes]]:
    """Yield the lines of a long answer, each time as a list of those that came together; an empty one when it begins. ResultTimeoutError when nothing
    comes for timeout seconds (None: wait for ever); ConnectionLostError when the answer ends before it is complete."""
    connection = _Connection(path, timeout)
    try:
        with _lost(f"GET {url} at {path}", ResultTimeoutError):
            connection.request("GET", url)
            response = connection.getresponse()
            problem = response.read() if response.status >= 400 else None
        if problem is not None:
            raise from_problem(_decoded(response, problem))
        yield []
        body = Chunks()
        rest: List[bytes] = []  # of a line that is not complete
        while not body.ended:
            with _lost(f"GET {url} at {path}", ResultTimeoutError):
                # http.client would give each of the pieces by itself, one for a line.
                text = body.take(response.fp.read1(_READ_BYTES))
            if b"\n" in text:
                lines = b"".join((*rest, text)).split(b"\n")
                rest = [lines.pop()]
                yield lines
            else:
                rest.append(text)
    finally:
        connection.close()


def decoded(line: bytes) -> Any:
    """Return what a line of an answer says."""
    try:
        return deep.loads(line)
    except ValueError as e:
        raise ConnectionLostError("cpulbd sent a line that is not JSON", "bad_answer") from e


@contextmanager
def _lost(what: str, late: Type[CPULoadBalancerError] = ConnectionLostError) -> Iterator[None]:
    """Raise what goes wrong within as ConnectionLostError, or as late if it took too long."""
    try:
        yield
    except TIMEOUTS as e:
        raise late(f"{what}: no answer in the time given", None if late is ResultTimeoutError else "no_answer") from e
    except (OSError, http.client.HTTPException) as e:
        raise ConnectionLostError(f"{what}: {str(e) or type(e).__name__}") from e


def _decoded(response: http.client.HTTPResponse, text: bytes) -> Any:
    try:
        return deep.loads(text)
    except ValueError as e:
        raise ConnectionLostError(f"cpulbd answered {response.status} without JSON", "bad_answer") from e
