"""What can go wrong, one class for each thing that a caller would do about it.

Every exception carries ``code``, the stable name of its cause: the daemon's
problem code (such as "script_not_found") where the daemon spoke, else one of
this package's own. Decide by class or code, never by the text.
"""
from __future__ import annotations

from typing import Any, Dict, List, Optional


class CpuLoadBalancerError(Exception):
    """Base of all exceptions of this package."""

    default_code = "internal"

    def __init__(self, message: str, code: Optional[str] = None, problem: Optional[Dict[str, Any]] = None):
        super().__init__(message)
        self.code: str = code or self.default_code
        #: The daemon's problem object (RFC 9457), empty where it said nothing.
        self.problem: Dict[str, Any] = problem or {}

    def __reduce__(self):
        return type(self), (str(self), self.code, self.problem)

    @property
    def field(self) -> Optional[str]:
        """Which field of the task is wrong, where the daemon knows."""
        return self.problem.get("field")

    @property
    def allowed(self) -> List[str]:
        """What that field may be, where there is a list."""
        return self.problem.get("allowed", [])


class InvalidTaskError(CpuLoadBalancerError, ValueError):
    """The task can't be accepted as it is; sending it again won't help."""

    default_code = "invalid_task"


class ScriptError(InvalidTaskError):
    """The script does not exist, is a folder or may not be read by the daemon."""

    default_code = "script_not_found"


class TaskNotFoundError(CpuLoadBalancerError, LookupError):
    """The daemon knows no task of this id; one that was restarted has forgotten all."""

    default_code = "task_not_found"


class ResultEvictedError(TaskNotFoundError):
    """The task has ended and its Result is no longer kept."""

    default_code = "result_evicted"


class TaskConflictError(CpuLoadBalancerError):
    """The task's id is taken by a task with other content."""

    default_code = "task_conflict"


class QueueFullError(CpuLoadBalancerError):
    """The daemon's input queue is full; try again later."""

    default_code = "queue_full"


class EngineUnavailableError(CpuLoadBalancerError, ConnectionError):
    """No daemon answers, or the connection was lost and could not be made again."""

    default_code = "unavailable"


class DrainingError(EngineUnavailableError):
    """The daemon is stopping and accepts nothing new."""

    default_code = "draining"


class ProtocolError(CpuLoadBalancerError):
    """What answers at the socket does not speak the daemon's language."""

    default_code = "protocol"


class ResultTimeoutError(CpuLoadBalancerError, TimeoutError):
    """The task had not ended in time. It goes on; ask again or cancel it."""

    default_code = "result_timeout"


class TaskFailedError(CpuLoadBalancerError):
    """Raised by Result.raise_for_error() for a task that did not complete."""

    default_code = "exception"


_BY_CODE = {
    "invalid_json": InvalidTaskError,
    "invalid_task": InvalidTaskError,
    "no_such_pool": InvalidTaskError,
    "body_too_large": InvalidTaskError,
    "script_not_found": ScriptError,
    "script_is_directory": ScriptError,
    "script_not_readable": ScriptError,
    "task_not_found": TaskNotFoundError,
    "result_evicted": ResultEvictedError,
    "task_conflict": TaskConflictError,
    "queue_full": QueueFullError,
    "draining": DrainingError,
}


def error_from(problem: Dict[str, Any]) -> CpuLoadBalancerError:
    """Return the exception for a problem object; one with a new code is of the base class."""
    code = problem.get("code", "internal")
    text = problem.get("detail") or problem.get("title") or code
    return _BY_CODE.get(code, CpuLoadBalancerError)(text, code, problem)
