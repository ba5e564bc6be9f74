"""What this package raises. A task that failed is no exception but a Result."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple, Type


class CPULoadBalancerError(Exception):
    """Base of all. code is the daemon's stable name of the problem, e.g.
    "queue_full", or the client's own, e.g. "connection_lost"."""

    default_code = "error"
    task_id: Optional[str] = None  # of which task, where several are under way

    def __init__(self, message: str, code: Optional[str] = None):
        super().__init__(message)
        self.code = code or self.default_code

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (*self.args, self.code), {"task_id": self.task_id} if self.task_id else None


class SubmissionError(CPULoadBalancerError):
    """The task was refused; it does not run."""

    default_code = "submission_failed"


class TaskNotFoundError(CPULoadBalancerError):
    """The daemon does not know the task, or the batch, as one of yours, or keeps its result no longer."""

    default_code = "task_not_found"


class ResultTimeoutError(CPULoadBalancerError, TimeoutError):
    """The task had not ended in the time given. It goes on; ask again."""

    default_code = "result_timeout"


class ConnectionLostError(CPULoadBalancerError):
    """No daemon could be reached, or it went away before it answered."""

    default_code = "connection_lost"


def from_problem(problem: Dict[str, Any], kind: Type[CPULoadBalancerError] = CPULoadBalancerError) -> CPULoadBalancerError:
    """Return the exception for an RFC 9457 problem of the daemon."""
    code = problem.get("code")
    text = problem.get("detail") or problem.get("title") or "the daemon gave no reason"
    if problem.get("field") and problem["field"] not in text:
        text = f"{problem['field']}: {text}"
    if problem.get("allowed") and "(allowed: " not in text:
        text += f" (allowed: {', '.join(map(str, problem['allowed']))})"
    unknown = code in ("task_not_found", "batch_not_found", "result_evicted")
    if unknown and not (kind is SubmissionError and code == "result_evicted"):  # which ran before, and is refused
        kind = TaskNotFoundError
    return kind(text, code)
