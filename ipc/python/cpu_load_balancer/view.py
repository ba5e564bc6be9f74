"""TaskView: a task as it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict

from .enums import TaskStatus, TaskType
from .result import Worker, known


@dataclass
class TaskView:
    """What the daemon shows of a task that may not have ended. Times of day are RFC 3339 text."""

    task_id: str
    status: TaskStatus
    script_path: str
    function: str
    task_type: TaskType
    pool: str
    priority: int
    labels: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    worker: Worker | None = None
    submitted_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    @classmethod
    def from_dict(cls, wire: Dict[str, Any]) -> TaskView:
        """Return the TaskView that wire, of the socket API, describes."""
        fields = known(cls, wire)
        fields["status"], fields["task_type"] = TaskStatus(fields["status"]), TaskType(fields["task_type"])
        if fields.get("worker") is not None:
            fields["worker"] = Worker(**known(Worker, fields["worker"]))
        return cls(**fields)
