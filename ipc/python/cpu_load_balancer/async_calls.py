"""What an AsyncEngine asks by single HTTP calls."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, FrozenSet, Iterable, List, Optional, Set, TypeVar
from urllib.parse import urlencode

from . import bounds
from .api import decoded
from .async_api import call, follow
from .batch import Batch
from .calls import ANSWER_SECONDS, BATCH_SECONDS, Statuses, batch_of, events_url, page_url, path_of, pieces, selection
from .enums import TaskStatus
from .event import Event
from .exceptions import CPULoadBalancerError
from .link import NOT_REACHED, RESTART, Link
from .result import Result
from .task import Task
from .view import TaskView

T = TypeVar("T")


class AsyncCalls:
    """The calls of Calls, as coroutines and asynchronous iterators. What is said there holds here."""

    _link: Link

    async def _started(self) -> None:
        """Have the daemon run, if it is a private one."""

    async def _ask(self, method: str, url: str, passing: FrozenSet[str] = RESTART) -> Any:
        return (await self._again(lambda: call(self._link.path, method, url, ANSWER_SECONDS), passing))[1]

    async def _again(self, attempt: Callable[[], Awaitable[T]], passing: FrozenSet[str] = RESTART) -> T:
        await self._started()
        retry = None
        while True:
            try:
                done = await attempt()
            except CPULoadBalancerError as error:
                failed = error
            else:
                self._link.heard()
                return done
            retry = retry or self._link.retry(passing=passing)
            await asyncio.sleep(retry.next(failed))

    async def submit_batch(self, tasks: Iterable[Task]) -> Batch:
        """As Engine.submit_batch."""
        every = list(tasks)
        batches: List[Batch] = []  # that a draining daemon has answered

        async def attempt() -> Batch:
            answer = await call(self._link.path, "POST", "/v1/batches", BATCH_SECONDS, pieces(every), "application/x-ndjson")
            return batch_of(answer[1], batches)
        try:
            return await self._again(attempt)
        except CPULoadBalancerError:
            if batches:
                return batches[-1]
            raise

    async def get_batch(self, batch_id: str) -> Dict[str, Any]:
        """As Engine.get_batch."""
        answer: Dict[str, Any] = await self._ask("GET", path_of("batches", batch_id))
        return answer

    def batch_results(self, batch_id: str, timeout: Optional[float] = None) -> AsyncIterator[Result]:
        """As Engine.batch_results."""
        self._link.check_open()
        return self._batch_results(path_of("batches", batch_id) + "/results", bounds.seconds(timeout, "timeout"))

    async def _batch_results(self, url: str, timeout: Optional[float]) -> AsyncIterator[Result]:
        seen: Set[str] = set()
        async for line in self._followed(lambda: url, timeout):
            result = Result.from_json(line)
            if result.task_id not in seen:  # which all come again after a restart
                seen.add(result.task_id)
                yield result

    def events(self, task_id: str, after: Optional[str] = None, timeout: Optional[float] = None) -> AsyncIterator[Event]:
        """As Engine.events."""
        self._link.check_open()
        path_of("tasks", task_id)
        return self._events(task_id, after, bounds.seconds(timeout, "timeout"))

    async def _events(self, task_id: str, last: Optional[str], timeout: Optional[float]) -> AsyncIterator[Event]:
        def url() -> str:
            return events_url(task_id, last)
        async for line in self._followed(url, timeout):
            event = Event.from_dict(decoded(line))
            last = event.cursor
            yield event
            if event.event == "result":
                return

    async def _followed(self, url: Callable[[], str], timeout: Optional[float]) -> AsyncIterator[bytes]:
        await self._started()
        retry = self._link.retry(most=timeout)
        while True:
            try:
                async for lines in follow(self._link.path, url(), timeout):
                    self._link.heard()
                    for line in lines:
                        yield line
                return
            except CPULoadBalancerError as error:
                lost = error
            await asyncio.sleep(retry.next(lost))

    async def get_task(self, task_id: str) -> TaskView:
        """As Engine.get_task."""
        return TaskView.from_dict(await self._ask("GET", path_of("tasks", task_id)))

    async def list_tasks(self, status: Statuses = (), labels: Optional[Dict[str, str]] = None,
                         batch_id: Optional[str] = None) -> AsyncIterator[TaskView]:
        """As Engine.list_tasks."""
        query, after = selection(status, labels, batch_id), None
        while True:
            page = await self._ask("GET", page_url(query, after))
            for view in page["tasks"]:
                yield TaskView.from_dict(view)
            after = page.get("next")
            if not after:
                return

    async def cancel_task(self, task_id: str) -> TaskStatus:
        """As Engine.cancel_task."""
        return TaskStatus((await self._ask("DELETE", path_of("tasks", task_id)))["status"])

    cancel = cancel_task

    async def cancel_tasks(self, status: Statuses = (), labels: Optional[Dict[str, str]] = None,
                           batch_id: Optional[str] = None) -> int:
        """As Engine.cancel_tasks."""
        query = selection(status, labels, batch_id)
        if not query:
            raise ValueError("this would cancel all tasks: say which, by status, labels or batch_id")
        return int((await self._ask("DELETE", "/v1/tasks?" + urlencode(query)))["cancelled"])

    async def rerun_task(self, task_id: str) -> str:
        """As Engine.rerun_task."""
        return str((await self._ask("POST", path_of("tasks", task_id) + "/rerun", NOT_REACHED))["task_id"])

    async def get_schedules(self) -> List[Dict[str, Any]]:
        """As Engine.get_schedules."""
        schedules: List[Dict[str, Any]] = (await self._ask("GET", "/v1/schedules"))["schedules"]
        return schedules

    async def get_status(self) -> Dict[str, Any]:
        """As Engine.get_status."""
        status: Dict[str, Any] = await self._ask("GET", "/v1/status")
        return status
