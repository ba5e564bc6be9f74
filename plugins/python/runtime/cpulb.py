"""What a script may import from the worker that runs it."""

__path__ = []
__all__ = ["TaskCancelled", "TaskTimeout"]


class TaskCancelled(BaseException):
    """The task was asked to stop. Not an Exception, so that `except Exception` lets it through."""


class TaskTimeout(TaskCancelled):
    """The task's timeout has passed."""


for _class in (TaskCancelled, TaskTimeout):
    _class.__module__ = "cpulb"
del _class
