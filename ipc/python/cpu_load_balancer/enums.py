"""The names that the socket API uses. Each is a str, so that it is JSON as it stands."""

from __future__ import annotations

from enum import Enum


class TaskType(str, Enum):
    """What a task mostly does, and so which pool it suits."""

    CPU_BOUND = "cpu_bound"
    IO_BOUND = "io_bound"


class TaskStatus(str, Enum):
    """Where a task is in its life."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended and its Result is final."""
        return self in (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.TIMED_OUT)


class Health(str, Enum):
    """How a component of the daemon is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    STOPPED = "stopped"
