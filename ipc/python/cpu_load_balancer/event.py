"""Event: something that happened to a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

from .enums import TaskStatus
from .result import Result, known


@dataclass
class Event:
    """event is its kind: state, partial, progress, log, output, gap or, at last, result. Of the fields below cursor
    those of its kind are set; cursor is where to go on from. An output event has in text what the script has printed to
    stream, stdout or stderr, since the one before; offset is how many bytes it had printed there before that."""

    event: str
    task_id: str
    cursor: str
    status: TaskStatus | None = None
    value: Any = None
    fraction: float | None = None
    level: str = ""
    message: str = ""
    stream: str = ""
    text: str = ""
    offset: int = 0
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
