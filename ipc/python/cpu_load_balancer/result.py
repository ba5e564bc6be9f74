"""How a task ended."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional, Union

from .enums import TaskStatus
from .exceptions import TaskFailedError


@dataclass
class Failure:
    """Why a task did not complete."""

    #: The error's name in the script's language, e.g. "ValueError".
    type: str
    message: str
    #: Stable name of the kind of failure, e.g. "exception" or "worker_lost".
    code: str = "exception"
    traceback: str = ""

    def __str__(self) -> str:
        return "%s: %s" % (self.type, self.message) if self.type else self.message

    @classmethod
    def from_dict(cls, d: Dict[str, Any]) -> "Failure":
        """Read the API's form; fields of a newer daemon are ignored."""
        return cls(d.get("type", ""), d.get("message", ""), d.get("code", ""), d.get("traceback", ""))


@dataclass
class WorkerInfo:
    """Where the last attempt ran. core is -1 if the worker is not pinned to one."""

    id: str
    executor: str = ""
    pool: str = ""
    pid: int = 0
    core: int = -1
    slot: int = 0

    @classmethod
    def from_dict(cls, d: Dict[str, Any]) -> "WorkerInfo":
        """Read the API's form; fields of a newer daemon are ignored."""
        return cls(d.get("id", ""), d.get("executor", ""), d.get("pool", ""), d.get("pid", 0), d.get("core", -1), d.get("slot", 0))


@dataclass
class Result:
    """A task's end. Points in time are RFC 3339 text, as the daemon wrote them."""

    task_id: str
    status: TaskStatus
    #: What the script returned; None unless the task completed.
    data: Any = None
    error: Optional[Failure] = None
    stdout: str = ""
    stderr: str = ""
    #: Some of stdout or stderr was dropped at limits.output_size.
    truncated: bool = False
    attempts: int = 0
    worker: Optional[WorkerInfo] = None
    submitted_at: Optional[str] = None
    started_at: Optional[str] = None
    finished_at: Optional[str] = None
    queue_seconds: float = 0.0
    run_seconds: float = 0.0

    @classmethod
    def success(cls, task_id: str, data: Any = None) -> "Result":
        """Make the Result of a task that completed."""
        return cls(task_id, TaskStatus.COMPLETED, data)

    @classmethod
    def failed(cls, task_id: str, error: Union[str, BaseException, Failure]) -> "Result":
        """Make the Result of a task that failed."""
        if isinstance(error, BaseException):
            error = Failure(type(error).__name__, str(error))
        elif isinstance(error, str):
            error = Failure("", error)
        return cls(task_id, TaskStatus.FAILED, None, error)

    @property
    def is_success(self) -> bool:
        """Whether the task completed."""
        return self.status is TaskStatus.COMPLETED

    def raise_for_error(self) -> "Result":
        """Return self if the task completed, else raise TaskFailedError."""
        if self.is_success:
            return self
        error = self.error or Failure("", self.status.value, self.status.value)
        raise TaskFailedError("task %s %s: %s" % (self.task_id, self.status.value, error), error.code or None)

    def to_dict(self) -> Dict[str, Any]:
        """Return the Result in the API's form."""
        d = asdict(self)
        d["status"] = self.status.value
        return d

    @classmethod
    def from_dict(cls, d: Dict[str, Any]) -> "Result":
        """Read the API's form; fields of a newer daemon are ignored."""
        get, error, worker = d.get, d.get("error"), d.get("worker")
        return cls(
            d["task_id"], TaskStatus(d["status"]), get("data"), Failure.from_dict(error) if error else None,
            get("stdout", ""), get("stderr", ""), get("truncated", False), get("attempts", 0),
            WorkerInfo.from_dict(worker) if worker else None, get("submitted_at"), get("started_at"),
            get("finished_at"), get("queue_seconds", 0.0), get("run_seconds", 0.0),
        )
