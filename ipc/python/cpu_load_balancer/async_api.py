"""Single HTTP calls under asyncio, for what does not go over the stream."""

from __future__ import annotations

import asyncio
import http.client
import io
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Iterable, List, Optional, Tuple, TypeVar

from . import deep
from .async_connection import connect
from .chunks import Chunks
from .exceptions import ConnectionLostError, ResultTimeoutError, from_problem

_READ_BYTES = 256 << 10
T = TypeVar("T")


class Exchange:
    """One request and its answer, each piece of which is to come within seconds (None: it may take for ever)."""

    def __init__(self, path: str, method: str, url: str, seconds: Optional[float]):
        self._path, self._method, self._url, self._seconds = path, method, url, seconds
        self._writer: Optional[asyncio.StreamWriter] = None
        self._headers: Dict[str, str] = {}
        self._body: Any = None
        self.status = 0

    async def begin(self, body: Optional[Iterable[bytes]] = None, kind: str = "application/json") -> None:
        """Send the request and read the answer's head."""
        sock = await connect(self._path, 30 if self._seconds is None else self._seconds)
        self._body, self._writer = await asyncio.open_unix_connection(sock=sock)
        head = f"{self._method} {self._url} HTTP/1.1\r\nHost: cpulb\r\nConnection: close\r\n"
        if body is not None:
            head += f"Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n"
        elif self._method == "POST":
            head += "Content-Length: 0\r\n"
        self._writer.write(f"{head}\r\n".encode("latin-1"))
        if body is not None:
            await self._send(body, self._writer)
        text = await self._within(self._body.readuntil(b"\r\n\r\n"))
        line, _, rest = text.partition(b"\r\n")
        self.status = int(line.split()[1])
        self._headers = {name.lower(): value for name, value in http.client.parse_headers(io.BytesIO(rest)).items()}

    async def _send(self, body: Iterable[bytes], writer: asyncio.StreamWriter) -> None:
        try:
            for piece in body:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await self._within(writer.drain())
            writer.write(b"0\r\n\r\n")
            await self._within(writer.drain())
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may be refused, with an answer, before all of it has been sent

    async def _within(self, coming: Awaitable[T]) -> T:
        return await asyncio.wait_for(coming, self._seconds)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the answer's body as it comes. http.client.HTTPException when it ends too early."""
        if self._headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = Chunks()
            while not chunks.ended:
                piece = chunks.take(await self._within(self._body.read(_READ_BYTES)))
                if piece:
                    yield piece
            return
        left = int(self._headers.get("content-length", "0"))
        while left > 0:
            piece = await self._within(self._body.read(min(left, _READ_BYTES)))
            if not piece:
                raise http.client.IncompleteRead(b"", left)
            left -= len(piece)
            yield piece

    async def json(self) -> Any:
        """Return the answer's body. A problem is raised as the exception of its code."""
        text = b"".join([piece async for piece in self.pieces()])
        try:
            answer = deep.loads(text)
        except ValueError as error:
            raise ConnectionLostError(f"cpulbd answered {self.status} without JSON", "bad_answer") from error
        if self.status >= 400:
            raise from_problem(answer)
        return answer

    def end(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()


async def call(path: str, method: str, url: str, seconds: float, body: Optional[Iterable[bytes]] = None,
               kind: str = "application/json") -> Tuple[int, Any]:
    """Make one request, as api.call does."""
    exchange = Exchange(path, method, url, seconds)
    try:
        await _heard(f"{method} {url} at {path}", exchange.begin(body, kind), ConnectionLostError)
        return exchange.status, await _heard(f"{method} {url} at {path}", exchange.json(), ConnectionLostError)
    finally:
        exchange.end()


async def follow(path: str, url: str, seconds: Optional[float]) -> AsyncIterator[List[bytes]]:
    """Yield the lines of a long answer, as api.follow does."""
    what = f"GET {url} at {path}"
    exchange = Exchange(path, "GET", url, seconds)
    try:
        await _heard(what, exchange.begin(), ResultTimeoutError)
        if exchange.status >= 400:
            await _heard(what, exchange.json(), ResultTimeoutError)
        yield []
        rest: List[bytes] = []  # of a line that is not complete
        pieces = exchange.pieces()
        while True:
            try:
                text = await _heard(what, pieces.__anext__(), ResultTimeoutError)
            except StopAsyncIteration:
                return
            if b"\n" in text:
                lines = b"".join((*rest, text)).split(b"\n")
                rest = [lines.pop()]
                yield lines
            else:
                rest.append(text)
    finally:
        exchange.end()


async def _heard(what: str, coming: Awaitable[T], late: Callable[..., Exception]) -> T:
    """Return what comes, or raise what goes wrong as ConnectionLostError, or as late if it takes too long."""
    try:
        return await coming
    except asyncio.TimeoutError as error:
        raise late(f"{what}: no answer in the time given", None if late is ResultTimeoutError else "no_answer") from error
    except (OSError, EOFError, ValueError, IndexError, http.client.HTTPException) as error:
        raise ConnectionLostError(f"{what}: {str(error) or type(error).__name__}") from error
