"""A connection to the daemon under asyncio."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Callable, List, Optional

from .connection import unreachable
from .exceptions import ConnectionLostError
from .lines import UPGRADE, UPGRADE_SECONDS, refusal
from .splitter import Part, Splitter

_PAUSE_SECONDS = 0.005  # so often who finds no place among those who connect tries again


async def connect(path: str, seconds: float) -> socket.socket:
    """Return a socket that is connected to path and does not block. ConnectionLostError as connection.connect."""
    deadline = time.monotonic() + seconds
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        while True:
            try:
                connection.connect(path)  # which succeeds or fails at once
                return connection
            except BlockingIOError:  # many others connect: asyncio's own would take that for a connection
                if time.monotonic() > deadline:
                    raise ConnectionLostError(f"cpulbd at {path} takes no connection", "no_answer") from None
                await asyncio.sleep(_PAUSE_SECONDS)
    except OSError as error:
        connection.close()
        raise unreachable(path, error) from error
    except BaseException:
        connection.close()
        raise


def _seen(future: asyncio.Future[None]) -> None:
    """Whoever waited for this may have given up: then nobody misses what it has ended by."""
    if not future.cancelled():
        future.exception()


class Upgraded(asyncio.Protocol):
    """A stream: it calls take with the lines that come, and lost, once, when it has ended."""

    def __init__(self, take: Callable[[List[Part]], None], lost: Callable[[Upgraded, ConnectionLostError], None]):
        self._take, self._lost = take, lost
        self._head: Optional[bytes] = b""  # of the answer to the upgrade, as far as it has come
        self._splitter = Splitter()
        self._is_open = asyncio.get_running_loop().create_future()
        self._is_open.add_done_callback(_seen)
        self._transport: Optional[asyncio.Transport] = None

    @classmethod
    async def open(cls, path: str, take: Callable[[List[Part]], None],
                   lost: Callable[[Upgraded, ConnectionLostError], None]) -> Upgraded:
        """Connect and upgrade. Before it returns neither is called, but by lines that came together with the answer."""
        sock = await connect(path, UPGRADE_SECONDS)
        upgraded = cls(take, lost)
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: upgraded, sock=sock)
        except BaseException:
            sock.close()
            raise
        try:
            await asyncio.wait_for(asyncio.shield(upgraded._is_open), UPGRADE_SECONDS)
        except asyncio.TimeoutError:
            upgraded.close()
            raise ConnectionLostError(f"cpulbd at {path} did not answer within {UPGRADE_SECONDS} seconds", "no_answer") from None
        except BaseException:
            upgraded.close()
            raise
        return upgraded

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio wants it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        """As asyncio wants it."""
        if self._head is not None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = None
            if not head.startswith(b"HTTP/1.1 101 "):
                self._is_open.set_exception(refusal(head, data))
                self.close()
                return
            self._is_open.set_result(None)
        lines = self._splitter.take(data)
        if lines:
            self._take(lines)

    def connection_lost(self, error: Optional[Exception]) -> None:
        """As asyncio wants it."""
        lost = ConnectionLostError(f"the connection to cpulbd ended: {error or 'cpulbd closed it'}")
        if not self._is_open.done():
            self._is_open.set_exception(lost)
        elif self._is_open.exception() is None:
            self._lost(self, lost)

    def write(self, pieces: List[bytes]) -> None:
        """Send pieces, or keep them until they can be."""
        assert self._transport is not None
        for piece in pieces:
            self._transport.write(piece)

    def close(self) -> None:
        """End it, once what was written has been sent."""
        if self._transport is not None:
            self._transport.close()
