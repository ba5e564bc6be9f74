"""The calls of an AsyncEngine for many tasks at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, AsyncGenerator, AsyncIterable, AsyncIterator, Deque, Dict, Iterable, List, Optional, Tuple, Union

from .alarm import wait
from .async_stream import AsyncStream, Future
from .connection import remaining
from .exceptions import CPULoadBalancerError, ResultTimeoutError
from .link import FOR_NOW
from .many import Factory, deadline_after, entered, given, late, taken_at_once
from .progress import Progress
from .result import Result
from .task import Task


class AsyncCompleted(AsyncIterator[Result]):
    """Yields results as tasks end, as Completed does."""

    def __init__(self, stream: AsyncStream, tasks: List[Union[Task, str]], timeout: Optional[float], progress: bool):
        self._timeout = timeout
        self._deadline = deadline_after(timeout)
        self._ready: Deque[Future[Any]] = deque()
        self._open: Dict[str, Future[Any]] = {}
        self._wake: Optional[Future[Any]] = None
        for task in tasks:
            task_id = entered(task)
            if task_id not in self._open:
                text = task.to_text() if isinstance(task, Task) else None
                self._open[task_id] = future = stream.ended(task_id, text, FOR_NOW)
                future.add_done_callback(self._has_ended)
        self._left = len(self._open)
        self._line = Progress(self._left) if progress else None
        self._tells_no_more = stream.waits.tell(self._line.waits) if self._line else None

    def _has_ended(self, future: Future[Any]) -> None:
        self._ready.append(future)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def __aiter__(self) -> AsyncCompleted:
        return self

    async def __anext__(self) -> Result:
        if self._left == 0:
            self.close()
            raise StopAsyncIteration
        while not self._ready:
            self._wake = asyncio.get_running_loop().create_future()
            await wait(self._wake, self._deadline, late(self._left, self._timeout))
        future = self._ready.popleft()
        self._left -= 1
        return given(_outcome(future), self._line)

    def close(self) -> None:
        """End it; the tasks go on."""
        self._left = 0
        for future in self._open.values():
            future.cancel()
            if not future.cancelled():
                future.exception()
        self._open.clear()
        if self._tells_no_more is not None:
            self._tells_no_more()
            self._tells_no_more = None
        if self._line is not None:
            self._line.close()

    async def aclose(self) -> None:
        """close, as contextlib.aclosing calls it."""
        self.close()


def _outcome(future: Future[Any]) -> Union[Result, CPULoadBalancerError]:
    error = future.exception()
    if error is None:
        result = future.result()
        assert isinstance(result, Result)
        return result
    assert isinstance(error, CPULoadBalancerError)
    return error


def _has_ended(future: Future[Any]) -> bool:
    """Return whether the task has, and not only the wait for it."""
    return future.done() and not future.cancelled() and not isinstance(future.exception(), ResultTimeoutError)


class _Items:
    """What a map is of: its items, taken one at a time from an iterable of either kind."""

    def __init__(self, iterable: Union[Iterable[Any], AsyncIterable[Any]]):
        self.more = True
        self.at_once = taken_at_once(iterable)
        self._items: Any = None
        self._later: Any = None
        self._coming: Optional[Future[Any]] = None
        if isinstance(iterable, AsyncIterable):
            self._later = iterable.__aiter__()
        else:
            self._items = iter(iterable)

    async def next(self, first: Optional[Future[Any]], deadline: Optional[float]) -> List[Any]:
        """Return the next item as the only one of a list; none at the end, or when first is done, or the time over, before it
        has come."""
        if self._later is None:
            for item in self._items:
                return [item]
            self.more = False
            return []
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._later.__anext__())
        either = {self._coming} if first is None else {self._coming, first}
        await asyncio.wait(either, timeout=remaining(deadline), return_when=asyncio.FIRST_COMPLETED)
        if not self._coming.done():
            if first is None:
                raise ResultTimeoutError("the iterable of a map has given no item in the time given")
            return []
        coming, self._coming = self._coming, None
        try:
            return [coming.result()]
        except StopAsyncIteration:
            self.more = False
            return []

    async def close(self) -> None:
        """Take no more."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait({self._coming})


async def _take(stream: AsyncStream, make: Factory, items: _Items, order: Deque[Tuple[str, Future[Any]]], in_flight: int,
                deadline: Optional[float]) -> None:
    """Submit items, until there are so many or none, the first has ended or the time is over."""
    taken = 0
    while items.more and len(order) < in_flight and (taken < items.at_once or not order[0][1].done()):
        came = await items.next(order[0][1] if order else None, deadline)
        if not came:
            return
        task = make(came[0])
        order.append((task.task_id, stream.ended(task.task_id, task.to_text(), FOR_NOW)))
        taken += 1
        if taken % items.at_once == 0 and not await stream.send_now(order[0][1], deadline):
            return


async def mapped(stream: AsyncStream, make: Factory, iterable: Union[Iterable[Any], AsyncIterable[Any]], in_flight: int,
                 timeout: Optional[float], line: Optional[Progress]) -> AsyncGenerator[Result, None]:
    """Yield what AsyncEngine.map does."""
    deadline, items = deadline_after(timeout), _Items(iterable)
    order: Deque[Tuple[str, Future[Any]]] = deque()
    stream.maps[id(order)] = order
    tells_no_more = stream.waits.tell(line.waits) if line is not None else None
    failed: Optional[Exception] = None
    try:
        while True:
            if failed is None:
                try:
                    await _take(stream, make, items, order, in_flight, deadline)
                except Exception as error:  # of the items, which ends them: those before it have their Results
                    failed = error
            if not order:
                if failed is not None:
                    raise failed
                return
            try:
                outcome = await wait(order[0][1], deadline, late(len(order), timeout))
            finally:
                if _has_ended(order[0][1]):
                    order.popleft()
            yield given(outcome, line)
    finally:
        unended = [task_id for task_id, future in order if not _has_ended(future)]
        for task_id, future in order:
            future.cancel()
            if not future.cancelled():
                future.exception()
        if tells_no_more is not None:
            tells_no_more()
        if line is not None:
            line.close()
        try:
            await stream.cancel(unended)
        finally:
            del stream.maps[id(order)]
            await items.close()
