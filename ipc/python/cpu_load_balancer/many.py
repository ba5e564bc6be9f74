"""Many: the calls of an Engine for many tasks at a time, whose results come while others run."""

from __future__ import annotations

import os
import time
from collections import deque
from operator import length_hint
from typing import Any, Callable, Deque, Dict, Generator, Iterable, Iterator, List, Optional, Tuple, Union

from . import bounds
from .batch import Batch
from .calls import path_of
from .exceptions import ResultTimeoutError
from .flow import Flow, Outcome
from .link import Link
from .progress import Progress
from .result import Result
from .task import Task

IN_FLIGHT = 256
_TAKEN = 16  # items, before it is looked whether a result is there
_AT_HAND = (list, tuple, range, set, frozenset, dict)

Script = Union[str, "os.PathLike[str]"]
Factory = Callable[[Any], Task]


class Many:
    """The part of Engine that needs connections of its own."""

    _link: Link

    def as_completed(self, tasks: Union[Batch, Iterable[Union[Task, str]]], timeout: Optional[float] = None, *,
                     progress: bool = False) -> Completed:
        """Yield the Result of each of the tasks as it ends, of each one once. A Task is submitted; an id is of one that
        has been, by whomever. After timeout seconds from this call (None: never) it raises ResultTimeoutError. For a task
        that was refused, or is not known, it raises why, with its task_id; next goes on with the others. The
        tasks go on when nobody iterates any more. progress shows a line on the terminal."""
        self._link.check_open()
        return Completed(self._link, list(tasks), timeout, progress)

    def map(self, script: Union[Script, Factory], iterable: Iterable[Any], *, in_flight: int = IN_FLIGHT,
            timeout: Optional[float] = None, progress: bool = False, **options: Any) -> Generator[Result, None, None]:
        """Yield the Result for each item of iterable, in their order. script is the path of a script, which gets the item
        as its params, the other options being those of Task.create; or it is called with the item and returns the
        Task. Nothing happens before the first Result is asked for. No more than in_flight items are taken from iterable
        whose Results were not yielded, so it may be endless. After timeout seconds from then (None: never) it raises
        ResultTimeoutError; and, in its place, the SubmissionError of a task that was refused. Whoever
        leaves before the end has what is under way cancelled. progress shows a line on the terminal."""
        in_flight, timeout = bounds.count(in_flight, "in_flight"), bounds.seconds(timeout, "timeout")
        self._link.check_open()
        make, line = factory(script, options), Progress(total(iterable)) if progress else None
        return mapped(self._link, make, iterable, in_flight, timeout, line)


def factory(script: Union[Script, Factory], options: Dict[str, Any]) -> Factory:
    """Return what makes a Task of an item."""
    if callable(script):
        if options:
            raise TypeError(f"options are for a script's path, which this function may give its tasks itself: {', '.join(options)}")
        made = script

        def checked(item: Any) -> Task:
            task = made(item)
            if not isinstance(task, Task):
                raise TypeError(f"a map's function has to return a Task, and not {task!r:.100}")
            return task
        return checked
    path = os.path.abspath(os.fsdecode(script))

    def create(params: Any) -> Task:
        task = Task.create(path, params, **options)
        if params is None:  # which create takes for none given
            task.__dict__["params"] = None
        return task
    return create


class Completed(Iterator[Result]):
    """Yields results as tasks end. close, or the end of a with block, ends its connection; the tasks go on."""

    def __init__(self, link: Link, tasks: List[Union[Task, str]], timeout: Optional[float], progress: bool):
        self._timeout = timeout
        self._deadline = deadline_after(timeout)
        self._line: Optional[Progress] = None
        self._is_closed = False
        self._flow = Flow(link, self._waits)
        for task in tasks:
            if isinstance(task, Task):
                self._flow.submit(task)
            else:
                self._flow.watch(entered(task))
        if progress:
            self._line = Progress(self._flow.open)
        self._flow.flush()

    def __iter__(self) -> Completed:
        return self

    def __next__(self) -> Result:
        if self._is_closed or not self._flow.open:
            self.close()
            raise StopIteration
        if not self._flow.wait(self._deadline):
            raise late(self._flow.open, self._timeout)
        return given(self._flow.take()[1], self._line)

    def _waits(self, code: Optional[str]) -> None:
        if self._line is not None:
            self._line.waits(code)

    def __enter__(self) -> Completed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it: it yields no more."""
        self._is_closed = True
        self._flow.close()
        if self._line is not None:
            self._line.close()


class InOrder:
    """Has the outcomes of tasks come out in the order in which these went in."""

    def __init__(self) -> None:
        self._order: Deque[str] = deque()
        self._places: Dict[str, int] = {}  # id -> how often it is there
        self._ended: Dict[str, Outcome] = {}

    def __len__(self) -> int:
        return len(self._order)

    @property
    def is_ready(self) -> bool:
        """Whether the next one has ended."""
        return bool(self._order) and self._order[0] in self._ended

    def add(self, task_id: str) -> None:
        """Put a task at the end. It may be there already."""
        self._order.append(task_id)
        self._places[task_id] = self._places.get(task_id, 0) + 1

    def end(self, task_id: str, outcome: Outcome) -> None:
        """Note what has ended."""
        self._ended[task_id] = outcome

    def take(self) -> Outcome:
        """Return the outcome of the next one, which has ended."""
        task_id = self._order.popleft()
        places = self._places.pop(task_id) - 1
        if places == 0:
            return self._ended.pop(task_id)
        self._places[task_id] = places
        return self._ended[task_id]


def mapped(link: Link, make: Factory, iterable: Iterable[Any], in_flight: int, timeout: Optional[float],
           line: Optional[Progress]) -> Generator[Result, None, None]:
    """Yield what Many.map does."""
    deadline = deadline_after(timeout)
    flow, order, items = Flow(link, line.waits) if line else Flow(link), InOrder(), iter(iterable)
    more, failed = True, None
    at_once = taken_at_once(iterable)
    try:
        while True:
            taken = 0
            while more and len(order) < in_flight and (taken < at_once or not order.is_ready):
                try:
                    more = _take(flow, order, items, make)
                except Exception as error:  # of the items, which ends them: those before it have their Results
                    more, failed = False, error
                taken += 1
                if taken % at_once == 0:
                    flow.flush(at_once=True)
                    _collect(flow, order, 0.0)
            if not order:
                if failed is not None:
                    raise failed
                return
            flow.flush()
            while not order.is_ready:
                if not _collect(flow, order, deadline):
                    raise late(len(order), timeout)
            yield given(order.take(), line)
    finally:
        try:
            flow.cancel()
        finally:
            flow.close()
            if line is not None:
                line.close()


def _take(flow: Flow, order: InOrder, items: Iterator[Any], make: Factory) -> bool:
    """Submit the next item. Return whether there was one."""
    for item in items:
        task = make(item)
        flow.submit(task)
        order.add(task.task_id)
        return True
    return False


def _collect(flow: Flow, order: InOrder, deadline: Optional[float]) -> bool:
    """Have order know what has ended. Return whether something has until deadline."""
    came = flow.wait(deadline)
    while flow.is_ready:
        order.end(*flow.take())
    return came


def taken_at_once(iterable: object) -> int:
    """Return how many items are taken before they are sent: where they are not at hand the next one may be long in coming."""
    return _TAKEN if isinstance(iterable, _AT_HAND) else 1


def entered(task: Union[Task, str]) -> str:
    """Return the id of a task, as the daemon writes it. TaskNotFoundError for what is not an id."""
    if isinstance(task, Task):
        return task.task_id
    path_of("tasks", task)
    return str(task).lower()


def given(outcome: Outcome, line: Optional[Progress]) -> Result:
    """Return the outcome, or raise it, and count it."""
    if isinstance(outcome, Result):
        if line is not None:
            line.step(not outcome.is_success)
        return outcome
    if line is not None:
        line.step(True)
    raise outcome


def total(iterable: object) -> Optional[int]:
    """Return how many items there are, if that is known."""
    return length_hint(iterable) or None


def deadline_after(timeout: Optional[float]) -> Optional[float]:
    """Return when timeout seconds are over, by time.monotonic(); None: never. TypeError or ValueError when it can't be a timeout."""
    limit = bounds.seconds(timeout, "timeout")
    return None if limit is None else time.monotonic() + limit


def late(count: int, timeout: Optional[float]) -> ResultTimeoutError:
    """Return the error that says that so many have not ended."""
    return ResultTimeoutError(f"{count} of the tasks have not ended within {timeout} seconds")
