"""Client of cpulbd: run Python scripts in its warm, pinned workers.

    from cpu_load_balancer import Engine, Task, TaskType

    with Engine() as engine:
        task_id = engine.submit_task(Task.create("script.py", {"value": 21}))
        print(engine.get_result(task_id, timeout=30.0).data)

An Engine may be shared by any number of threads and starts none of its own.
A child that os.fork() makes may use it, too: it connects anew. Python 3.9 or
later, standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .batch import Batch
from .engine import Engine
from .enums import Health, TaskStatus, TaskType
from .event import Event
from .exceptions import (ConnectionLostError, CPULoadBalancerError, ResultTimeoutError,
                         SubmissionError, TaskNotFoundError)
from .result import Result, TaskError, Worker
from .status import ComponentStatus
from .task import Task
from .view import TaskView

if TYPE_CHECKING:
    from .async_engine import AsyncEngine


def __getattr__(name: str) -> Any:
    if name == "AsyncEngine":  # asyncio takes long to load: who does not use it does not pay for it
        from .async_engine import AsyncEngine
        return AsyncEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["AsyncEngine", "Batch", "ComponentStatus", "ConnectionLostError", "CPULoadBalancerError", "Engine", "Event", "Health",
           "Result", "ResultTimeoutError", "SubmissionError", "Task", "TaskError", "TaskNotFoundError",
           "TaskStatus", "TaskType", "TaskView", "Worker"]
