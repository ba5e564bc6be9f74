"""Result: how a task ended."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from .enums import TaskStatus


def known(cls, values):
    """Return those of values that are fields of cls: a newer daemon may send more."""
    names = {f.name for f in fields(cls)}
    return {name: value for name, value in values.items() if name in names}


@dataclass
class TaskError:
    """Why a task did not complete. code is a stable name of the kind of failure."""

    type: str
    message: str
    code: str = "exception"
    traceback: str = ""

    def __str__(self):
        return f"{self.type}: {self.message}" if self.type else self.message


@dataclass
class Worker:
    """Where the last attempt ran; core is -1 for a worker that is not pinned."""

    id: str = ""
    executor: str = ""
    pool: str = ""
    pid: int = 0
    core: int = -1
    slot: int = 0


@dataclass
class Result:
    """How a task ended. data is what the script returned; error is None when it
    completed. Times of day are RFC 3339 text, as the daemon wrote them; cpu_seconds
    is what the script's thread used of the CPU, lock_seconds how long it waited for
    Python's lock before it began."""

    task_id: str
    status: TaskStatus
    data: Any = None
    error: TaskError | None = None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    attempts: int = 0
    worker: Worker | None = None
    submitted_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    cpu_seconds: float = 0.0
    lock_seconds: float = 0.0

    @property
    def is_success(self):
        """Whether the task completed."""
        return self.status is TaskStatus.COMPLETED

    @classmethod
    def success(cls, task_id, data):
        """Return the Result of a task that returned data."""
        return cls(task_id, TaskStatus.COMPLETED, data)

    @classmethod
    def failed(cls, task_id, error):
        """Return the Result of a task that failed. error is text, an exception or
        a TaskError."""
        if isinstance(error, BaseException):
            error = TaskError(type(error).__name__, str(error))
        elif not isinstance(error, TaskError):
            error = TaskError("Error", str(error))
        return cls(task_id, TaskStatus.FAILED, error=error)

    def to_dict(self):
        """Return the Result in the shape of the socket API."""
        wire = asdict(self)
        wire["status"] = self.status.value
        return wire

    @classmethod
    def from_dict(cls, wire):
        """Return the Result that wire, of the socket API, describes."""
        values = known(cls, wire)
        values["status"] = TaskStatus(values["status"])
        if values.get("error") is not None:
            values["error"] = TaskError(**known(TaskError, values["error"]))
        if values.get("worker") is not None:
            values["worker"] = Worker(**known(Worker, values["worker"]))
        return cls(**values)
