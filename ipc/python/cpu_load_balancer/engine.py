"""Engine: the client's view of the daemon."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, Dict, Optional, Tuple, Type, TypeVar

from .api import call
from .calls import ANSWER_SECONDS, Calls, path_of
from .connection import remaining, socket_path
from .exceptions import ConnectionLostError, CPULoadBalancerError, ResultTimeoutError, SubmissionError
from .lines import LEAST_SECONDS
from .link import RECONNECT_SECONDS, Link
from .many import Many, deadline_after
from .private import Place, PrivateDaemon
from .result import Result
from .orders import Found
from .stream import Stream
from .task import Task

T = TypeVar("T")

_PAUSE_SECONDS = 0.001  # so often who waits for another thread's connection looks for it
_LONGEST_WAIT_SECONDS = 3600  # of one request; longer waits ask again
_BACK_SECONDS = 1  # of the first one after a daemon was lost, by whose answer the next one is known to be there


class _Own:
    """What an Engine has in one process: os.fork copies it, but neither the threads that hold the lock nor the other end
    of the connection."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stream: Optional[Stream] = None  # replaced by who connects, and by close
        self.connecting = False  # a thread makes the next one


class Engine(Calls, Many):
    """Submits tasks and fetches results. Safe for concurrent use by threads, and in a child that os.fork makes, which
    gets a connection of its own.

    It connects when first used. A task submitted through it may be fetched by
    another Engine, and the other way round: the id is enough.

    When the daemon goes away and comes back, as it does when it is restarted, calls go on, each for
    reconnect seconds at most each time: what was not answered is asked, or sent, again, which is safe, because the id is
    the same."""

    def __init__(self, socket: Place = None, reconnect: Optional[float] = RECONNECT_SECONDS):
        """socket is the daemon's path; without it CPULB_SOCKET, else
        /run/cpulb/cpulb.sock. A daemon that was never there is not waited for. With reconnect 0 none is,
        with None for as long as the call may take."""
        self.socket = socket_path(socket)
        self._link = Link(self.socket, reconnect)
        self._owns = {os.getpid(): _Own()}

    def _own(self) -> _Own:
        pid = os.getpid()
        own = self._owns.get(pid)
        if own is None:  # a child: all its threads are to find the same
            parents = list(self._owns.items())
            own = self._owns.setdefault(pid, _Own())
            for parent, its in parents:
                gone = self._owns.pop(parent, None) if parent != pid else None
                if gone is not None and its.stream:
                    its.stream.abandon()
        return own

    @classmethod
    def private(cls, bin_dir: Place = None, config: Place = None) -> Engine:
        """Start a daemon for this program alone and return an Engine on it;
        close ends the daemon. bin_dir holds cpulbd (else CPULB_BIN, else PATH);
        config is the path of a configuration file. It is for notebooks and tests: nothing is left behind, and nobody
        starts the daemon again when it dies."""
        daemon = PrivateDaemon(bin_dir, config)
        engine = cls(daemon.socket)
        engine._link.daemon = daemon
        return engine

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and the daemon if it is private. Tasks of a shared
        daemon go on. May be called twice, and by a signal's handler, whatever it interrupts."""
        own = self._own()
        # Without the lock, which what a handler interrupts may hold: who connects looks at that when he has done so.
        self._link.is_closed = True
        stream, own.stream = own.stream, None
        if stream:
            stream.close()
        if self._link.daemon:
            self._link.daemon.stop()

    @property
    def daemon_pid(self) -> Optional[int]:
        """Process id of the private daemon; None for a shared one."""
        return self._link.daemon.pid if self._link.daemon else None

    def submit_task(self, task: Task) -> str:
        """Hand the task over and return its id once the daemon has accepted it; where many threads submit, up to 5 ms
        later, if its result is expected meanwhile. SubmissionError says why it did not."""
        text = task.to_text()

        def attempt() -> str:
            # Another one's id, if its idempotency_key says so.
            return self._usable_stream(deadline_after(ANSWER_SECONDS)).submit(task.task_id, text, ANSWER_SECONDS)
        try:
            return self._again(attempt)
        except ResultTimeoutError as error:
            raise SubmissionError(f"task {task.task_id}: cpulbd did not answer within {ANSWER_SECONDS} seconds; "
                                  "it may have been accepted", "no_answer") from error

    def run_task(self, task: Task, timeout: Optional[float] = 30.0) -> Result:
        """Hand the task over and return its Result: submit_task and get_result at once, with one answer of the daemon
        less to wait for. After a ResultTimeoutError the task goes on, and get_result(task.task_id) has its Result, unless
        the daemon could not even be reached."""
        deadline, text = deadline_after(timeout), task.to_text()

        def attempt() -> Optional[Found]:
            return self._usable_stream(deadline).run(task.task_id, text, deadline)
        try:
            found = self._again(attempt, deadline)
            return Result.from_json(*found) if found else Result.from_dict(self._asked(task.task_id, deadline))
        except ResultTimeoutError as error:
            raise _late(task.task_id, timeout) from error

    def _again(self, attempt: Callable[[], T], deadline: Optional[float] = None) -> T:
        """Return what attempt does; when the daemon has gone, of another one: the same id and text is the same task."""
        try:
            return attempt()
        except (ConnectionLostError, SubmissionError) as error:
            lost: CPULoadBalancerError = error
        return self._link.again(attempt, lost, deadline)

    def _usable_stream(self, deadline: Optional[float]) -> Stream:
        own = self._own()
        stream = own.stream
        return stream if stream is not None and stream.usable else self._connected(own, deadline)

    def _connected(self, own: _Own, deadline: Optional[float]) -> Stream:
        """Return a stream that is usable. One thread connects; the others wait, none beyond its deadline."""
        until = None if deadline is None else max(deadline, time.monotonic() + LEAST_SECONDS)
        connects = False
        try:
            while not connects:
                with own.lock:
                    self._link.check_open()
                    if own.stream is not None and own.stream.usable:
                        return own.stream
                    if not own.connecting:
                        own.connecting = connects = True
                if not connects:
                    self._wait_for_connector(until)
            stream = Stream(self._link.path, deadline)
            self._link.heard()
            own.stream, before = stream, own.stream
            if before is not None:
                before.close()  # its tasks go on, their results are found by id
            if self._link.is_closed:
                own.stream = None
                stream.close()
            self._link.check_open()
            return stream
        finally:
            if connects:  # an interrupt can't come before that is done
                own.connecting = False

    def _wait_for_connector(self, until: Optional[float]) -> None:
        left = remaining(until)
        if left == 0:
            raise ResultTimeoutError("cpulbd has not answered yet")
        time.sleep(_PAUSE_SECONDS if left is None else min(_PAUSE_SECONDS, left))

    def get_result(self, task_id: str, timeout: Optional[float] = 30.0) -> Result:
        """Return the Result, waiting up to timeout seconds (None: for ever) for
        the task's end; then ResultTimeoutError. TaskNotFoundError when the
        daemon does not know the task."""
        deadline = deadline_after(timeout)
        try:
            found = self._streamed(task_id, deadline)
            return Result.from_json(*found) if found else Result.from_dict(self._asked(task_id, deadline))
        except ResultTimeoutError as error:
            raise _late(task_id, timeout) from error

    def _streamed(self, task_id: str, deadline: Optional[float]) -> Optional[Found]:
        stream = self._own().stream
        if stream is None:
            return None
        try:
            return stream.result(task_id, deadline)
        except ConnectionLostError:
            return None  # the daemon may be back, or have only this connection ended

    def _asked(self, task_id: str, deadline: Optional[float]) -> Dict[str, Any]:
        target, most = path_of("tasks", task_id), _LONGEST_WAIT_SECONDS

        def attempt() -> Tuple[int, Any]:
            nonlocal most
            longest, most = most, _BACK_SECONDS
            answered = self._ask_result(target, deadline, longest)
            most = _LONGEST_WAIT_SECONDS
            return answered
        while True:
            status, answer = self._link.call(attempt, deadline)
            body: Dict[str, Any] = answer
            if status == 200:
                return body
            if remaining(deadline) == 0:
                raise ResultTimeoutError(f"task {task_id} is {body.get('status')}")

    def _ask_result(self, target: str, deadline: Optional[float], most: float) -> Tuple[int, Any]:
        left = remaining(deadline)
        wait = most if left is None else min(left, most)
        late: Type[CPULoadBalancerError] = ConnectionLostError
        seconds = wait + max(ANSWER_SECONDS, self._link.seconds)  # who takes the connection may have to be started
        if left is not None and left + LEAST_SECONDS < seconds:
            seconds, late = left + LEAST_SECONDS, ResultTimeoutError
        return call(self._link.path, "GET", f"{target}/result?timeout={wait:.6f}s", seconds, late=late)


def _late(task_id: str, timeout: Optional[float]) -> ResultTimeoutError:
    return ResultTimeoutError(f"task {task_id} has not ended within {timeout} seconds")
