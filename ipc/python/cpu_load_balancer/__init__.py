"""Client of the CPU Load Balancer daemon, with the calls of the module it grew from.

    from cpu_load_balancer import Engine, Task, TaskType

    with Engine() as engine:
        task = Task.create(script_path="my_script.py", params={"value": 42}, task_type=TaskType.IO_BOUND)
        task_id = engine.submit_task(task)
        result = engine.get_result(task_id, timeout=30.0)

The standard library is all it needs. An Engine may be used by many threads at
once and starts none of its own; after a fork the child opens its own connection.
Times are in seconds.
"""
from .enums import Health, TaskStatus, TaskType
from .engine import DEFAULT_SOCKET, Engine
from .exceptions import (
    CpuLoadBalancerError,
    DrainingError,
    EngineUnavailableError,
    InvalidTaskError,
    ProtocolError,
    QueueFullError,
    ResultEvictedError,
    ResultTimeoutError,
    ScriptError,
    TaskConflictError,
    TaskFailedError,
    TaskNotFoundError,
)
from .result import Failure, Result, WorkerInfo
from .status import ComponentStatus
from .task import Task

__all__ = [
    "DEFAULT_SOCKET", "ComponentStatus", "CpuLoadBalancerError", "DrainingError", "Engine", "EngineUnavailableError",
    "Failure", "Health", "InvalidTaskError", "ProtocolError", "QueueFullError", "Result", "ResultEvictedError",
    "ResultTimeoutError", "ScriptError", "Task", "TaskConflictError", "TaskFailedError", "TaskNotFoundError",
    "TaskStatus", "TaskType", "WorkerInfo",
]
