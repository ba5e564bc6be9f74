"""AsyncEngine: the client for asyncio."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncGenerator, AsyncIterable, Iterable, Optional, Union

from . import bounds
from .alarm import wait
from .async_calls import AsyncCalls
from .async_many import AsyncCompleted, mapped
from .async_stream import AsyncStream
from .batch import Batch
from .connection import socket_path
from .exceptions import ResultTimeoutError, SubmissionError
from .link import RECONNECT_SECONDS, Link
from .many import IN_FLIGHT, Factory, Script, deadline_after, entered, factory, total
from .private import Place, PrivateDaemon
from .progress import Progress
from .result import Result
from .task import Task

_ANSWER_SECONDS = 30


class AsyncEngine(AsyncCalls):
    """The calls of Engine as coroutines, and asynchronous iterators, of one event loop. All tasks go over one connection.

    A coroutine that waits may be cancelled at any moment: its task goes on, as does everybody else. cancel ends a task."""

    def __init__(self, socket: Place = None, reconnect: Optional[float] = RECONNECT_SECONDS):
        """As Engine."""
        self._link = Link(socket_path(socket), reconnect)
        self._stream = AsyncStream(self._link, self._started)
        self._private: Any = None  # what makes the daemon
        self._starting: Optional[asyncio.Future[PrivateDaemon]] = None

    @classmethod
    def private(cls, bin_dir: Place = None, config: Place = None) -> AsyncEngine:
        """Return an AsyncEngine on a daemon for this program alone, which starts with the first call, or with async with;
        close ends it. The rest is as Engine.private."""
        engine = cls("")
        engine._private = lambda: PrivateDaemon(bin_dir, config)
        return engine

    @property
    def socket(self) -> str:
        """The path of the daemon's socket; empty for a private one that has not been started."""
        return self._link.socket

    @property
    def daemon_pid(self) -> Optional[int]:
        """Process id of the private daemon; None for a shared one."""
        return self._link.daemon.pid if self._link.daemon else None

    async def _started(self) -> None:
        self._link.check_open()  # a private daemon would have nobody who ends it
        if self._private is None or self._link.daemon is not None:
            return
        if self._starting is None:
            self._starting = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(None, self._private))
            self._starting.add_done_callback(self._has_started)
        try:
            await asyncio.shield(self._starting)
        except Exception:
            self._starting = None
            raise

    def _has_started(self, starting: asyncio.Future[PrivateDaemon]) -> None:
        if not starting.cancelled() and starting.exception() is None:
            self._link.daemon = starting.result()
            self._link.socket, self._link.met = self._link.daemon.socket, True

    async def __aenter__(self) -> AsyncEngine:
        await self._started()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection, and the daemon if it is private. May be called twice."""
        await self._stream.close()
        self._link.is_closed = True
        if self._starting is not None and not self._starting.done():
            await asyncio.wait({self._starting})
            await asyncio.sleep(0)  # for _has_started
        if self._link.daemon is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._link.daemon.stop)

    async def submit_task(self, task: Task) -> str:
        """As Engine.submit_task."""
        future = self._stream.accepted(task.task_id, task.to_text())
        late = SubmissionError(f"task {task.task_id}: cpulbd did not answer; it may have been accepted", "no_answer")
        deadline = None if self._link.seconds == float("inf") else deadline_after(_ANSWER_SECONDS + self._link.seconds)
        task_id = await wait(future, deadline, late)
        return str(task_id)

    async def run_task(self, task: Task, timeout: Optional[float] = 30.0) -> Result:
        """As Engine.run_task."""
        deadline = deadline_after(timeout)
        return await _ended(self._stream.ended(task.task_id, task.to_text()), deadline, task.task_id, timeout)

    async def get_result(self, task_id: str, timeout: Optional[float] = 30.0) -> Result:
        """As Engine.get_result."""
        deadline = deadline_after(timeout)
        return await _ended(self._stream.ended(entered(task_id)), deadline, task_id, timeout)

    def as_completed(self, tasks: Union[Batch, Iterable[Union[Task, str]]], timeout: Optional[float] = None, *,
                     progress: bool = False) -> AsyncCompleted:
        """As Engine.as_completed: async for result in engine.as_completed(…). To be called in a coroutine."""
        self._link.check_open()
        return AsyncCompleted(self._stream, list(tasks), timeout, progress)

    def map(self, script: Union[Script, Factory], iterable: Union[Iterable[Any], AsyncIterable[Any]], *,
            in_flight: int = IN_FLIGHT, timeout: Optional[float] = None, progress: bool = False,
            **options: Any) -> AsyncGenerator[Result, None]:
        """As Engine.map: async for result in engine.map(…). iterable may be asynchronous, too."""
        in_flight, timeout = bounds.count(in_flight, "in_flight"), bounds.seconds(timeout, "timeout")
        self._link.check_open()
        make, line = factory(script, options), Progress(total(iterable)) if progress else None
        return mapped(self._stream, make, iterable, in_flight, timeout, line)


async def _ended(future: Any, deadline: Optional[float], task_id: str, timeout: Optional[float]) -> Result:
    late = ResultTimeoutError(f"task {task_id} has not ended within {timeout} seconds")
    result = await wait(future, deadline, late)
    assert isinstance(result, Result)
    return result
