"""Result: how a task ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, Dict, FrozenSet, Optional, Tuple, Union

from . import deep
from .enums import TaskStatus
from .exceptions import ConnectionLostError
from .large import LARGE
from .splitter import Part

# How the daemon begins each result, and what is between the parts. One that is written in
# another way is decoded as a whole.
_ID, _STATUS, _DATA = b'{"task_id":"', b'","status":"', b'","data":'
_COMPLETED = _STATUS + b'completed' + _DATA  # mostly
_NO_ERROR = ',"error":null,'
_COMPLETED_STATUS = TaskStatus.COMPLETED  # to find it in its class takes long
_SMALL = 4096  # characters of data that are not cut off from what comes behind
_ID_LENGTH = 36
_STATUSES = {status.value.encode(): status for status in TaskStatus}


def known(cls: Any, values: Dict[str, Any]) -> Dict[str, Any]:
    """Return those of values that are fields of cls: a newer daemon may send more."""
    names = _names(cls)
    return {name: value for name, value in values.items() if name in names}


@cache
def _names(cls: Any) -> FrozenSet[str]:
    return frozenset(f.name for f in fields(cls))


@dataclass
class TaskError:
    """Why a task did not complete. code is a stable name of the kind of failure."""

    type: str
    message: str
    code: str = "exception"
    traceback: str = ""

    def __str__(self) -> str:
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
    Python's lock before it began.

    One that came from the daemon is decoded when it is looked at: is_success costs hardly
    anything, data, and that there is no error, no more than data itself. Until then
    vars() does not show it; to_dict and dataclasses.asdict do. If it can't be decoded, whoever looks gets
    ConnectionLostError with code "bad_answer"."""

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
    def is_success(self) -> bool:
        """Whether the task completed."""
        return self.status is _COMPLETED_STATUS

    @classmethod
    def success(cls, task_id: str, data: Any) -> Result:
        """Return the Result of a task that returned data."""
        return cls(task_id, TaskStatus.COMPLETED, data)

    @classmethod
    def failed(cls, task_id: str, error: Union[str, BaseException, TaskError]) -> Result:
        """Return the Result of a task that failed. error is text, an exception or
        a TaskError."""
        if isinstance(error, BaseException):
            error = TaskError(type(error).__name__, str(error))
        elif not isinstance(error, TaskError):
            error = TaskError("Error", str(error))
        return cls(task_id, TaskStatus.FAILED, error=error)

    def to_dict(self) -> Dict[str, Any]:
        """Return the Result in the shape of the socket API."""
        wire = asdict(self)
        wire["status"] = self.status.value
        return wire

    @classmethod
    def from_dict(cls, wire: Dict[str, Any]) -> Result:
        """Return the Result that wire, of the socket API, describes."""
        values = known(cls, wire)
        values["status"] = TaskStatus(values["status"])
        if values.get("error") is not None:
            values["error"] = TaskError(**known(TaskError, values["error"]))
        if values.get("worker") is not None:
            values["worker"] = Worker(**known(Worker, values["worker"]))
        return cls(**values)

    @classmethod
    def from_json(cls, line: Part, start: int = 0) -> Result:
        """Return the Result that line, bytes, describes from start on. It may have something behind it."""
        first = start + len(_ID)
        if not line.startswith(_ID, start):
            return _whole(_text(line, "?"), start, {"task_id": "?"})
        result = object.__new__(cls)
        result.task_id = line[first:first + _ID_LENGTH].decode("ascii", "replace")
        result.__dict__["_raw"] = line, start
        return result

    # _raw is the JSON of what is not in __dict__ yet, and where in it that begins: the whole result as bytes, or, once
    # data has been looked at, str with the comma before what came behind it. A second thread may decode the same at the
    # same time.

    def __getattr__(self, name: str) -> Any:
        """Decode name and as little else as can be."""
        raw = self.__dict__.get("_raw")
        if raw is not None and name in _NAMES:
            if name == "status" and (status := _beginning(*raw)[0]) is not None:
                self.status = status
            elif name not in ("data", "error") or not self._decode_data(name, *raw):
                self._decode_all(*raw)
        if name not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.__dict__[name]

    def _decode_data(self, name: str, text: Any, start: int) -> bool:
        """Set status, data and, if there is none, error. Return whether name is set: the text may be another one than
        expected."""
        status, start = _beginning(text, start)
        if status is None:
            return False
        if (end := _end_of_plain(text, start)) is not None:
            data = _text(memoryview(text)[start + 1:end - 1], self.task_id)
            text, end = _text(memoryview(text)[end:], self.task_id), 0
        else:
            text = _text(text, self.task_id)
            data, end = _scanned(text, start, self.task_id)
        if not text.startswith(",", end):
            return False
        values = self.__dict__
        values.setdefault("status", status)
        values.setdefault("data", data)
        if text.startswith(_NO_ERROR, end):
            values.setdefault("error", None)
            end += len(_NO_ERROR) - 1
        elif name == "error":
            return False
        values["_raw"] = (text, end) if end < _SMALL else (text[end:], 0)
        return True

    def _decode_all(self, text: Any, start: int) -> None:
        others = {"task_id": self.task_id}
        if isinstance(text, str):
            others["status"] = self.status
            text, start = "{" + text[start + 1:], 0
        else:
            text = _text(text, self.task_id)
        whole = _whole(text, start, others)
        self.__dict__.update(whole.__dict__ | self.__dict__)  # what is set may have been set by the caller
        self.__dict__.pop("_raw", None)


_NAMES = _names(Result)
for _name in _NAMES:
    if hasattr(Result, _name):
        delattr(Result, _name)  # the default: __init__ knows it, and here it would hide what is not decoded yet


def _beginning(text: Any, start: int) -> Tuple[Optional[TaskStatus], Any]:
    """Return the status and where the data begins; None twice when the text is another one than expected."""
    if isinstance(text, str):
        return None, None
    start += len(_ID) + _ID_LENGTH
    if text.startswith(_COMPLETED, start):
        return _COMPLETED_STATUS, start + len(_COMPLETED)
    if not text.startswith(_STATUS, start):
        return None, None
    start += len(_STATUS)
    end = text.find(b'"', start)
    status = _STATUSES.get(bytes(text[start:end]))
    if status is None or not text.startswith(_DATA, end):
        return None, None
    return status, end + len(_DATA)


def _end_of_plain(text: Any, start: int) -> Optional[int]:
    """Return where a large string ends that begins at start, if nothing in it is escaped, or None. That it is JSON the
    daemon has seen to."""
    if len(text) - start < LARGE or text[start] != ord('"'):
        return None
    end = text.find(b'"', start + 1)
    return end + 1 if end - start >= LARGE and text.find(b"\\", start, end) < 0 else None


def _text(line: Union[Part, memoryview], task_id: str) -> str:
    try:
        return str(line, "utf-8", "surrogatepass")
    except ValueError as error:
        raise _unreadable(task_id) from error


def _scanned(text: str, start: int, task_id: str) -> Tuple[Any, int]:
    """Return the value that is in text from start on, and where it ends."""
    try:
        return deep.scan(text, start)
    except ValueError as error:
        raise _unreadable(task_id) from error


def _whole(text: str, start: int, others: Dict[str, Any]) -> Result:
    """Return the Result of the members in text from start on, and of others."""
    wire, _ = _scanned(text, start, others["task_id"])
    try:
        return Result.from_dict(others | wire)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(others["task_id"]) from error


def _unreadable(task_id: str) -> ConnectionLostError:
    return ConnectionLostError(f"cpulbd sent a result of task {task_id} that can't be read", "bad_answer")
