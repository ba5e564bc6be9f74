"""connect: a socket to the daemon, with errors that say what to do."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from typing import Optional, Union, overload

from .exceptions import ConnectionLostError

TIMEOUTS = (TimeoutError, socket.timeout)  # which is a class of its own before Python 3.10

DEFAULT_SOCKET = "/run/cpulb/cpulb.sock"

_MOST_PATH_BYTES = 107
_LEAST_SECONDS = 0.001  # 0 would be for ever
_HINTS = {
    errno.ENOENT: "there is no such socket; is cpulbd running?",
    errno.ECONNREFUSED: "nobody listens there; is cpulbd running?",
    errno.EACCES: "not permitted; clients must be in the socket's group",
}


def socket_path(path: Union[None, str, "os.PathLike[str]"] = None) -> str:
    """Return path, else CPULB_SOCKET, else the packaged default."""
    return os.fspath(path or os.environ.get("CPULB_SOCKET") or DEFAULT_SOCKET)


def connect(path: str, seconds: Optional[float] = None) -> socket.socket:
    """Return a blocking socket that is connected to path, or raise
    ConnectionLostError with code "no_daemon"; TimeoutError when nobody took the connection for so long (None: for ever)."""
    deadline = None if seconds is None else time.monotonic() + seconds
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        while not _is_connected(connection):  # after a signal Python says that it is
            if deadline is not None:  # by settimeout it would fail at once where others wait for the same
                whole, part = divmod(max(remaining(deadline), _LEAST_SECONDS), 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(whole), int(part * 1e6)))
            connection.connect(path)
    except OSError as error:
        connection.close()
        if error.errno == errno.EAGAIN:
            raise TimeoutError("nobody takes the connection") from error
        raise unreachable(path, error) from error
    return connection


def unreachable(path: str, error: OSError) -> ConnectionLostError:
    """Return the error that says why nobody can connect to path."""
    reason = _HINTS.get(error.errno or 0) or error.strerror or str(error)
    size = len(os.fsencode(path))
    if size > _MOST_PATH_BYTES:
        reason = (f"the path has {size} bytes, and a socket's may have at most {_MOST_PATH_BYTES}; "
                  "use a shorter one, for example of a link to its folder")
    return ConnectionLostError(f"can't connect to cpulbd at {path}: {reason}", "no_daemon")


def _is_connected(connection: socket.socket) -> bool:
    try:
        connection.getpeername()
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise
        return False
    return True


@overload
def remaining(deadline: None) -> None: ...


@overload
def remaining(deadline: float) -> float: ...


@overload
def remaining(deadline: Optional[float]) -> Optional[float]: ...


def remaining(deadline: Optional[float]) -> Optional[float]:
    """Return the seconds until deadline, of time.monotonic(), at least 0; None
    for no deadline."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())
