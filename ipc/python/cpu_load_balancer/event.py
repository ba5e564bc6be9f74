"""Event: something that happened to a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

from .enums import TaskStatus
from .result import Result, known


@dataclass
class Event:
    """event is its kind: state, partial, progress, log, gap or, at last, result. Of the fields below cursor those of
    its kind are set; cursor is where to go on from."""

    event: str
    task_id: str
    cursor: str
    status: TaskStatus | None = None
    value: Any = None
    fraction: float | None = None
    level: str = ""
    message: str = ""
    missed: int = 0
    result: Result | None = None

    @classmethod
    def from_dict(cls, wire: Dict[str, Any]) -> Event:
        """Return the Event that wire, of the socket API, describes."""
        fields = known(cls, wire)
        if fields.get("status") is not None:
            fields["status"] = TaskStatus(fields["status"])
        if fields.get("result") is not None:
            fields["result"] = Result.from_dict(fields["result"])
        return cls(**fields)
