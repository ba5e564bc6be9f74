"""What a caller wants to have run."""
from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Union

from .enums import TaskType
from .exceptions import InvalidTaskError

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def new_task_id() -> str:
    """Return a fresh UUIDv7 (RFC 9562), which sorts by time of creation."""
    tail = int.from_bytes(os.urandom(10), "big")
    number = (time.time_ns() // 1_000_000) << 80 | tail
    number = number & ~(0xF << 76) | 0x7 << 76  # version
    number = number & ~(0x3 << 62) | 0x2 << 62  # variant
    text = "%032x" % number
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@dataclass
class Task:
    """A task; make it with create(). Its id is its own from the start, so that
    sending it twice runs it once."""

    task_id: str
    script_path: str
    params: Any = field(default_factory=dict)
    task_type: TaskType = TaskType.CPU_BOUND
    function: str = "main"
    pool: Optional[str] = None
    executor: Optional[str] = None
    priority: int = 5
    timeout: Optional[float] = None
    labels: Optional[Dict[str, str]] = None
    traceparent: Optional[str] = None

    @classmethod
    def create(
        cls,
        script_path: Union[str, "os.PathLike[str]"],
        params: Any = None,
        task_type: Union[TaskType, str] = TaskType.CPU_BOUND,
        *,
        function: str = "main",
        pool: Optional[str] = None,
        executor: Optional[str] = None,
        priority: int = 5,
        timeout: Optional[float] = None,
        labels: Optional[Dict[str, str]] = None,
        traceparent: Optional[str] = None,
        task_id: Optional[str] = None,
    ) -> "Task":
        """Make a task that calls ``function(params, context)`` of a script.

        script_path is resolved against the working directory now. params is
        anything that JSON can express; None means {}. timeout bounds one attempt
        in seconds, from its start. priority is 0 to 9, 9 first. Raises
        InvalidTaskError for a task type that does not exist.
        """
        try:
            task_type = TaskType(task_type)
        except ValueError:
            allowed = [t.value for t in TaskType]
            raise InvalidTaskError(
                "task_type: unknown task type %r (allowed: %s)" % (task_type, ", ".join(allowed)),
                problem={"field": "task_type", "allowed": allowed},
            ) from None
        return cls(
            task_id or new_task_id(), os.path.abspath(os.fspath(script_path)), {} if params is None else params,
            task_type, function, pool, executor, priority, timeout, labels, traceparent,
        )

    def to_dict(self) -> Dict[str, Any]:
        """Return the task as the socket API takes it."""
        d: Dict[str, Any] = {
            "task_id": self.task_id, "script_path": self.script_path, "function": self.function,
            "params": self.params, "task_type": self.task_type.value, "priority": self.priority,
        }
        if self.timeout is not None:
            d["timeout"] = "%dns" % round(self.timeout * 1e9)
        for name in ("pool", "executor", "labels", "traceparent"):
            value = getattr(self, name)
            if value:
                d[name] = value
        return d

    def to_json(self) -> str:
        """Return to_dict() as one line of JSON, ASCII only; InvalidTaskError says
        why it can't be."""
        try:
            return _encode(self.to_dict())
        except (TypeError, ValueError, OverflowError, RecursionError) as e:
            raise InvalidTaskError("params: not JSON: %s" % e, "invalid_json", {"field": "params"}) from e
