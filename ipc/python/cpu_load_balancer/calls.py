"""Calls: what an Engine asks by single HTTP calls."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Set, Tuple, Union
from urllib.parse import urlencode

from . import bounds
from .api import call, decoded, follow
from .batch import Batch
from .enums import TaskStatus
from .event import Event
from .exceptions import CPULoadBalancerError, SubmissionError, TaskNotFoundError
from .link import NOT_REACHED, RESTART, Link
from .result import Result
from .task import Task
from .view import TaskView

ANSWER_SECONDS = 30  # for what the daemon answers at once
BATCH_SECONDS = 300  # for as many tasks as a body takes
_PAGE = 1000
_PIECE_BYTES = 64 << 10

Statuses = Union[str, Iterable[str]]  # a TaskStatus is a str
Query = List[Tuple[str, str]]


class Calls:
    """The part of Engine that needs no more than the path of the socket."""

    socket: str = ""
    _link: Link

    def _ask(self, method: str, url: str, passing: FrozenSet[str] = RESTART) -> Any:
        return self._link.call(lambda: call(self._link.path, method, url, ANSWER_SECONDS), passing=passing)[1]

    def submit_batch(self, tasks: Iterable[Task]) -> Batch:
        """Hand many tasks over in one call and return a Batch, once the daemon has accepted those that are good.
        What is wrong with another one is in the Batch."""
        # They are there before the connection is: the daemon gives up a body that makes no progress.
        every = list(tasks)
        batches: List[Batch] = []  # that a draining daemon has answered

        def attempt() -> Batch:
            answer = call(self._link.path, "POST", "/v1/batches", BATCH_SECONDS, pieces(every), "application/x-ndjson")[1]
            return batch_of(answer, batches)
        try:
            return self._link.call(attempt)
        except CPULoadBalancerError:
            if batches:
                return batches[-1]
            raise

    def get_batch(self, batch_id: str) -> Dict[str, Any]:
        """Return how far the batch is: {"batch_id", "total", "tasks": {state: count}, "done"}."""
        answer: Dict[str, Any] = self._ask("GET", path_of("batches", batch_id))
        return answer

    def batch_results(self, batch_id: str, timeout: Optional[float] = None) -> Iterator[Result]:
        """Yield the Results of a batch in the order in which its tasks end, to the last. ResultTimeoutError when none
        comes for timeout seconds (None: wait for ever)."""
        self._link.check_open()
        return self._batch_results(path_of("batches", batch_id) + "/results", bounds.seconds(timeout, "timeout"))

    def _batch_results(self, url: str, timeout: Optional[float]) -> Iterator[Result]:
        seen: Set[str] = set()
        for line in self._followed(lambda: url, timeout):
            result = Result.from_json(line)
            if result.task_id not in seen:  # which all come again after a restart
                seen.add(result.task_id)
                yield result

    def events(self, task_id: str, after: Optional[str] = None, timeout: Optional[float] = None) -> Iterator[Event]:
        """Yield what happens to the task as Events: what is kept of it after a cursor, then what is to come, to the result.
        ResultTimeoutError when nothing comes for timeout seconds (None: wait for ever). When the daemon is restarted it goes
        on after the last cursor."""
        self._link.check_open()
        path_of("tasks", task_id)
        return self._events(task_id, after, bounds.seconds(timeout, "timeout"))

    def _events(self, task_id: str, last: Optional[str], timeout: Optional[float]) -> Iterator[Event]:
        def url() -> str:
            return events_url(task_id, last)
        for line in self._followed(url, timeout):
            event = Event.from_dict(decoded(line))
            last = event.cursor
            yield event
            if event.event == "result":
                return

    def _followed(self, url: Callable[[], str], timeout: Optional[float]) -> Iterator[bytes]:
        """Yield the lines of what url returns, which is asked again when the daemon has gone."""
        retry = self._link.retry(most=timeout)
        while True:
            try:
                for lines in follow(self._link.path, url(), timeout):
                    self._link.heard()
                    yield from lines
                return
            except CPULoadBalancerError as error:
                lost = error
            retry.wait(lost)

    def get_task(self, task_id: str) -> TaskView:
        """Return the task as it stands, a TaskView."""
        return TaskView.from_dict(self._ask("GET", path_of("tasks", task_id)))

    def list_tasks(self, status: Statuses = (), labels: Optional[Dict[str, str]] = None,
                   batch_id: Optional[str] = None) -> Iterator[TaskView]:
        """Yield your tasks as TaskViews by submission, as far as they are wanted. status is one TaskStatus or
        several, of which any will do; labels have all to be there."""
        query, after = selection(status, labels, batch_id), None
        while True:
            page = self._ask("GET", page_url(query, after))
            yield from map(TaskView.from_dict, page["tasks"])
            after = page.get("next")
            if not after:
                return

    def cancel_task(self, task_id: str) -> TaskStatus:
        """Ask for the task's end and return its TaskStatus as it is then. One that
        waits is cancelled at once; one that runs is asked to stop, and get_result
        tells how it ended; one that has ended stays as it is."""
        return TaskStatus(self._ask("DELETE", path_of("tasks", task_id))["status"])

    cancel = cancel_task

    def cancel_tasks(self, status: Statuses = (), labels: Optional[Dict[str, str]] = None,
                     batch_id: Optional[str] = None) -> int:
        """Cancel all of your tasks that list_tasks would yield, and return how many had not ended. Without any filter
        it is a ValueError."""
        query = selection(status, labels, batch_id)
        if not query:
            raise ValueError("this would cancel all tasks: say which, by status, labels or batch_id")
        return int(self._ask("DELETE", "/v1/tasks?" + urlencode(query))["cancelled"])

    def rerun_task(self, task_id: str) -> str:
        """Submit what the task says as a new one, and return its id."""
        return str(self._ask("POST", path_of("tasks", task_id) + "/rerun", NOT_REACHED)["task_id"])

    def get_schedules(self) -> List[Dict[str, Any]]:
        """Return the daemon's schedules, each a dict as the socket API has it."""
        schedules: List[Dict[str, Any]] = self._ask("GET", "/v1/schedules")["schedules"]
        return schedules

    def get_status(self) -> Dict[str, Any]:
        """Return the daemon's state: {"engine": {…}, "components": {…}}; see
        ComponentStatus.from_dict."""
        status: Dict[str, Any] = self._ask("GET", "/v1/status")
        return status


def batch_of(answer: Dict[str, Any], batches: List[Batch]) -> Batch:
    """Return the Batch that the daemon has answered. When it drains raise that, for the next daemon knows those
    that were accepted, and put the Batch at the end of batches."""
    batch = Batch.from_dict(answer)
    put_off = next((error for error in batch.errors.values() if error.code == "draining"), None)
    if put_off is not None:
        batches.append(batch)
        raise put_off
    return batch


def events_url(task_id: str, after: Optional[str]) -> str:
    """Return the URL of what happens to a task after a cursor."""
    return path_of("tasks", task_id) + "/events" + ("?" + urlencode({"after": after}) if after else "")


def page_url(query: Query, after: Optional[str]) -> str:
    """Return the URL of a page of the tasks that query selects."""
    return "/v1/tasks?" + urlencode(query + [("limit", str(_PAGE))] + ([("after", after)] if after else []))


def pieces(tasks: Iterable[Task]) -> Iterator[bytes]:
    """Yield the tasks as lines of JSON, many in a piece; a piece is sent while the next is made."""
    lines: List[str] = []
    size = 0
    for task in tasks:
        line = task.to_json()
        lines.append(line)
        size += len(line)
        if size >= _PIECE_BYTES:
            yield ("\n".join(lines) + "\n").encode()
            lines, size = [], 0
    if lines:
        yield ("\n".join(lines) + "\n").encode()


def selection(status: Statuses, labels: Optional[Dict[str, str]], batch_id: Optional[str]) -> Query:
    """Return the query that selects tasks."""
    statuses = [status] if isinstance(status, str) else status
    query = [("status", TaskStatus(s).value) for s in statuses]
    query += [("label", f"{name}={value}") for name, value in (labels or {}).items()]
    return query + ([("batch", batch_id)] if batch_id else [])


def path_of(kind: str, name: object) -> str:
    """Return the URL path of a task or a batch. An id is a UUID; anything else may not get into
    a URL, and is none that the daemon could know."""
    if not re.fullmatch("[0-9A-Fa-f-]{36}", str(name)):
        raise TaskNotFoundError(f"{name!r} is not an id, which is a UUID")
    return f"/v1/{kind}/{name}"
