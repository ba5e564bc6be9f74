"""Single HTTP calls on the daemon's socket, for what does not go over the stream."""

import http.client
import json

from .connection import connect
from .exceptions import ConnectionLostError, from_problem


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("cpulb", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = connect(self._path)
        self.sock.settimeout(self.timeout)


def call(path, method, url, timeout):
    """Make one request and return the status and the JSON of the answer. A problem
    is raised as the exception of its code."""
    connection = _Connection(path, timeout)
    try:
        connection.request(method, url)
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as e:
        raise ConnectionLostError(f"{method} {url} at {path}: {str(e) or type(e).__name__}") from e
    finally:
        connection.close()
    try:
        answer = json.loads(text)
    except ValueError as e:
        raise ConnectionLostError(f"{method} {url} at {path}: {response.status} without JSON", "bad_answer") from e
    if response.status >= 400:
        raise from_problem(answer)
    return response.status, answer
