"""Single HTTP calls on the daemon's socket, for what does not go over the stream."""
from __future__ import annotations

import http.client
import json
from typing import Any, Tuple

from .connection import connect
from .exceptions import ConnectionLostError, from_problem


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float):
        super().__init__("cpulb", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = connect(self._path)
        self.sock.settimeout(self.timeout)


def call(path: str, method: str, url: str, timeout: float) -> Tuple[int, Any]:
    """Make one request and return the status and the JSON of the answer. A problem
    is raised as the exception of its code."""
    connection = _Connection(path, timeout)
    try:
        connection.request(method, url)
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as e:
        raise ConnectionLostError("%s %s at %s: %s" % (method, url, path, e or type(e).__name__), "connection_lost") from e
    finally:
        connection.close()
    try:
        answer = json.loads(text)
    except ValueError as e:
        raise ConnectionLostError("%s %s at %s: %d without JSON" % (method, url, path, response.status), "bad_answer") from e
    if response.status >= 400:
        raise from_problem(answer)
    return response.status, answer
