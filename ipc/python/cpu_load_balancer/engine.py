"""The Engine: what a program submits tasks to and gets Results from."""
from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, TypeVar, Union

from .exceptions import CpuLoadBalancerError, EngineUnavailableError, ResultTimeoutError, error_from
from .result import Result
from .status import ComponentStatus
from .stream import Stream, connect
from .task import Task

if TYPE_CHECKING:
    from .private import PrivateDaemon

DEFAULT_SOCKET = "/run/cpulb/cpulb.sock"

#: How long a call goes on trying after the connection was lost: a daemon restarts
#: within it.
RECONNECT_SECONDS = 5.0
_PAUSES = (0.0, 0.01, 0.05, 0.1, 0.2)  # between attempts; the last one repeats

#: Longest single wait that is asked of the daemon over HTTP.
_POLL_SECONDS = 60.0

_T = TypeVar("_T")


class Engine:
    """A daemon, reached by its socket. Threads may share one.

    The socket is the argument's, else that of the environment variable CPULB_SOCKET,
    else /run/cpulb/cpulb.sock. Construction connects, and raises
    EngineUnavailableError when no daemon answers. A connection that is lost later is
    made again by the next call; tasks do not notice.

    timeout bounds, in seconds, everything but a script: connecting, and the daemon's
    answer to a call.
    """

    def __init__(self, socket: Union[str, "os.PathLike[str]", None] = None, *, timeout: float = 30.0):
        self.socket = os.fspath(socket) if socket else os.environ.get("CPULB_SOCKET") or DEFAULT_SOCKET
        self.timeout = timeout
        self._private: Optional[PrivateDaemon] = None
        self._reset()
        self._stream()
        _forked.add(self)

    @classmethod
    def private(cls, bin_dir: Union[str, "os.PathLike[str]", None] = None, *,
                config: Union[str, "os.PathLike[str]", None] = None, timeout: float = 30.0) -> "Engine":
        """Start a daemon of one's own, on a temporary socket and state folder; close()
        ends it and removes them. cpulbd is looked for in bin_dir, in CPULB_BIN (a
        folder or the file), in PATH and in the bin folder of a source tree around this
        package. config is a config.hcl in place of the daemon's default."""
        from .private import PrivateDaemon

        daemon = PrivateDaemon(bin_dir, config, timeout)
        try:
            engine = cls(daemon.socket, timeout=timeout)
        except BaseException:
            daemon.stop()
            raise
        engine._private = daemon
        return engine

    def submit_task(self, task: Task) -> str:
        """Hand over a task and return its id once the daemon has accepted it.

        Raises InvalidTaskError (ScriptError for the script's file), TaskConflictError,
        QueueFullError, DrainingError or EngineUnavailableError. After the last one the
        task may run or not; submitting it again is safe, it runs once.
        """
        line = ('{"op":"submit","task":%s}\n' % task.to_json()).encode("ascii")
        answer = self._retry(lambda: self._offer(task.task_id, line), None)
        if answer["event"] == "rejected":
            raise error_from(answer["problem"])
        return task.task_id

    def get_result(self, task_id: str, timeout: Optional[float] = 30.0) -> Result:
        """Wait for a task's end and return its Result, whoever submitted it.

        timeout is in seconds; None waits for ever. Raises ResultTimeoutError when it
        has passed, TaskNotFoundError, ResultEvictedError or EngineUnavailableError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        result = self._streamed_result(task_id, deadline)
        if result is None:
            result = self._retry(lambda: self._fetched_result(task_id, deadline), deadline)
        if result is None:
            raise ResultTimeoutError("task %s had not ended after %g s; it goes on" % (task_id, timeout))
        return result

    def run(self, task: Task, timeout: Optional[float] = 30.0) -> Result:
        """Submit a task and wait for its Result."""
        return self.get_result(self.submit_task(task), timeout)

    def cancel_task(self, task_id: str) -> Dict[str, Any]:
        """Ask for a task to stop and return its view; its Result tells how it ended."""
        return self._call("DELETE", "/v1/tasks/" + task_id)

    def get_task(self, task_id: str) -> Dict[str, Any]:
        """Return the daemon's view of a task, ended or not."""
        return self._call("GET", "/v1/tasks/" + task_id)

    def get_status(self) -> Dict[str, Any]:
        """Return {"engine": {"is_running": …}, "components": {name: {"health", "metrics"}}}."""
        return self._call("GET", "/v1/status")

    def get_components(self) -> Dict[str, ComponentStatus]:
        """Return the components of get_status() by name."""
        parts = self.get_status()["components"]
        return {name: ComponentStatus.from_dict(name, part) for name, part in parts.items()}

    def close(self) -> None:
        """Hang up; a private daemon is ended and its files removed. What was accepted
        by any other daemon goes on."""
        with self._lock:
            self._closed = True
            stream, self._current = self._current, None
        if stream is not None:
            stream.close()
        if self._private is not None:
            self._private.stop()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _reset(self) -> None:
        self._lock = threading.Lock()  # guards the three below; held while connecting
        self._current: Optional[Stream] = None
        self._leaving: List[Stream] = []  # take nothing new, but results still come
        self._closed = False

    def _after_fork(self) -> None:
        # The parent's connection is shared now and its locks may be held by threads
        # that do not exist here: leave both, and connect when needed.
        streams = self._leaving + ([self._current] if self._current else [])
        closed = self._closed
        self._reset()
        self._closed = closed
        for stream in streams:
            stream.abandon()

    def _stream(self) -> Stream:
        with self._lock:
            if self._closed:
                raise EngineUnavailableError("the engine has been closed", "closed")
            if self._current is None or not self._current.usable:
                new = connect(self.socket, self.timeout)
                self._leaving = [s for s in self._leaving + [self._current] if s and s.results_come]
                self._current = new
            return self._current

    def _offer(self, task_id: str, line: bytes) -> Dict[str, Any]:
        stream = self._stream()
        pending = stream.submit(task_id, line)
        if not stream.wait(pending, time.monotonic() + self.timeout):
            raise EngineUnavailableError("%s: no answer to task %s within %g s" % (self.socket, task_id, self.timeout), "no_answer")
        return pending.answer

    def _streamed_result(self, task_id: str, deadline: Optional[float]) -> Optional[Result]:
        for stream in [self._current] + self._leaving:
            pending = stream.result_of(task_id) if stream else None
            if pending is None:
                continue
            try:
                if not stream.wait(pending, deadline):
                    return None
            except CpuLoadBalancerError:
                return None  # the connection is lost; the result is not
            stream.claim(pending)
            return Result.from_dict(pending.answer)
        return None

    def _fetched_result(self, task_id: str, deadline: Optional[float]) -> Optional[Result]:
        while True:
            left = _POLL_SECONDS if deadline is None else min(_POLL_SECONDS, max(0.0, deadline - time.monotonic()))
            url = "/v1/tasks/%s/result?timeout=%dms" % (task_id, left * 1000)
            status, answer = self._request("GET", url, left)
            if status == 200:
                return Result.from_dict(answer)
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def _call(self, method: str, url: str) -> Dict[str, Any]:
        return self._retry(lambda: self._request(method, url, 0.0)[1], None)

    def _request(self, method: str, url: str, wait: float) -> Any:
        from .api import call  # http.client is slow to import, and the stream does without

        if self._closed:
            raise EngineUnavailableError("the engine has been closed", "closed")
        return call(self.socket, method, url, wait + self.timeout)

    def _retry(self, attempt: Callable[[], _T], deadline: Optional[float]) -> _T:
        """Repeat attempt while the daemon can't be reached. Everything that is sent may
        be sent twice: a task's id names it."""
        limit = time.monotonic() + RECONNECT_SECONDS
        if deadline is not None:
            limit = min(limit, deadline)
        tries = 0
        while True:
            try:
                return attempt()
            except EngineUnavailableError as e:
                pause = _PAUSES[min(tries, len(_PAUSES) - 1)]
                if e.code not in ("unavailable", "connection_lost") or time.monotonic() + pause >= limit:
                    raise
                tries += 1
                time.sleep(pause)


#: Engines that a forked child must disconnect; weak, so that it keeps none alive.
_forked: "weakref.WeakSet[Engine]" = weakref.WeakSet()


def _disconnect_children() -> None:
    for engine in list(_forked):
        engine._after_fork()


os.register_at_fork(after_in_child=_disconnect_children)
