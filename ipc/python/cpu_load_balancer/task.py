"""Task: what is to be run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Dict, Optional, Union

from . import bounds, deep
from .enums import TaskType
from .exceptions import SubmissionError
from .ids import new_id
from .large import LARGE, Large

_COMMON = ("task_id", "script_path", "params", "task_type", "timeout", "pool", "function", "priority", "labels")
_HEADS = 256  # of tasks that differ in more than params, whose text is kept


@dataclass(frozen=True)
class Task:
    """One run of a script. Make it with create. The id is made before sending,
    so sending a task again is safe: it is the same task."""

    task_id: str
    script_path: str
    params: Any = field(default_factory=dict)
    task_type: TaskType = TaskType.CPU_BOUND
    timeout: float | None = None  # seconds, of one attempt, from its start
    pool: str | None = None
    function: str = "main"
    priority: int = 5
    labels: dict[str, str] | None = None
    executor: str | None = None
    source: str | None = None  # the script's text; script_path is then empty
    delay: float | None = None  # seconds
    run_at: datetime | str | None = None
    expires_at: datetime | str | None = None
    max_retries: int | None = None
    retry_backoff: float | None = None  # seconds
    idempotency_key: str | None = None
    concurrency_key: str | None = None
    on_worker_lost: str | None = None
    durable: bool | None = None
    result_ttl: float | None = None  # seconds
    env: dict[str, str] | None = None
    cwd: str | None = None
    traceparent: str | None = None

    @classmethod
    def create(cls, script_path: Union[None, str, bytes, os.PathLike[str], os.PathLike[bytes]] = None, params: Any = None,
               task_type: Union[TaskType, str] = TaskType.CPU_BOUND, timeout: Optional[float] = None, pool: Optional[str] = None,
               function: str = "main", priority: int = 5, labels: Optional[Dict[str, str]] = None, **more: Any) -> Task:
        """Return a task with a fresh id. script_path becomes absolute, seen from
        the caller's working directory; params is any JSON value, timeout is in
        seconds, priority is 0 to 9 with 9 first. more is any other field; durations are in
        seconds, times a datetime with its zone or RFC 3339 text. A task_type that does not
        exist is a ValueError; all else is checked by the daemon."""
        path = "" if script_path is None else os.path.abspath(os.fsdecode(script_path))
        common = (new_id(), path, {} if params is None else params,
                  task_type if type(task_type) is TaskType else TaskType(task_type), timeout, pool, function, priority, labels)
        if more or cls is not Task:
            return cls(*common, **more)
        # What is not in its __dict__ is the class's default: a frozen __init__ would set each of the fields by a call.
        task = object.__new__(cls)
        task.__dict__.update(zip(_COMMON, common))
        return task

    def to_dict(self) -> Dict[str, Any]:
        """Return the task as the socket API takes it; what is not set is absent."""
        wire: Dict[str, Any] = {"task_id": self.task_id, "script_path": self.script_path, "function": self.function,
                "params": self.params, "task_type": TaskType(self.task_type).value, "priority": self.priority}
        if not self.script_path:
            del wire["script_path"]
        for name in ("timeout", "delay", "retry_backoff", "result_ttl"):
            if (seconds := getattr(self, name)) is not None:
                wire[name] = _duration(name, seconds)
        for name in ("run_at", "expires_at"):
            if (when := getattr(self, name)) is not None:
                wire[name] = _moment(name, when)
        for name in ("pool", "labels", "executor", "source", "max_retries", "idempotency_key", "concurrency_key",
                     "on_worker_lost", "durable", "env", "cwd", "traceparent"):
            if (value := getattr(self, name)) is not None:
                wire[name] = value
        return wire

    def to_json(self) -> str:
        """Return to_dict as one line of JSON. SubmissionError when a part of it,
        most likely of params, has no JSON form."""
        text = self.to_text()
        return text if isinstance(text, str) else b"".join(text.pieces()).decode()

    def to_text(self) -> Union[str, Large]:
        """Return the text of to_json; when it is large, as Large."""
        try:
            if len(self.__dict__) != len(_COMMON) or self.labels is not None:
                text = deep.dumps(self.to_dict())
                return text if len(text) < LARGE else Large((text, False))
            # create made it, of nothing else
            if type(self.params) is str and len(self.params) >= LARGE:
                return Large((self._beginning() + '"', False), (self.params, True), ('"}', False))
            text = deep.dumps(self.params)
            if len(text) >= LARGE:
                return Large((self._beginning(), False), (text, False), ("}", False))
            return f"{self._beginning()}{text}}}"
        except (TypeError, ValueError, RecursionError) as error:
            raise SubmissionError(f"the task can't be written as JSON: {error}", "invalid_json") from error

    def _beginning(self) -> str:
        return f'{{"task_id":"{self.task_id}",{_head(self)},"params":'


def _head(task: Task) -> str:
    """Return all but the id and params as JSON without its braces. Mostly tasks differ in those alone."""
    try:
        return _kept_head(task.script_path, task.function, task.task_type, task.priority, task.timeout, task.pool)
    except TypeError:  # one of them is a list or the like: the daemon says what is wrong with that
        return _make_head(task)


@lru_cache(_HEADS, typed=True)  # 1 and True are equal, and are not the same JSON
def _kept_head(script_path: str, function: str, task_type: TaskType, priority: int, timeout: Optional[float],
               pool: Optional[str]) -> str:
    return _make_head(Task("", script_path, None, task_type, timeout, pool, function, priority))


def _make_head(task: Task) -> str:
    wire = task.to_dict()
    del wire["task_id"], wire["params"]
    return deep.dumps(wire)[1:-1]


def _duration(name: str, seconds: Any) -> str:
    """Return seconds as a Go duration."""
    try:
        limit = bounds.number(seconds, name)
    except TypeError as error:
        raise SubmissionError(str(error), "invalid_task") from error
    if limit is None or limit != limit:
        raise SubmissionError(f"{name} must be a number of seconds, or None for none given, not {seconds!r:.100}", "invalid_task")
    return f"{limit:.9f}s"


def _moment(name: str, when: Union[datetime, str]) -> str:
    """Return when as RFC 3339 text."""
    if not isinstance(when, datetime):
        return when
    if when.tzinfo is None:
        raise SubmissionError(f"{name} has no time zone: give it one, for example by astimezone()", "invalid_task")
    return when.isoformat()
