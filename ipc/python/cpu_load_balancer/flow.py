"""Flow: many tasks on a connection of its own, which is made anew when it is lost."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Callable, Dict, List, Optional, Tuple, Union

from .connection import remaining
from .exceptions import ConnectionLostError, CPULoadBalancerError, ResultTimeoutError
from .lines import Lines, Rest
from .link import FOR_NOW, ROOM, Link, Retry
from .orders import Line, Orders, Text
from .result import Result
from .room import Room
from .task import Task

Outcome = Union[Result, CPULoadBalancerError]

_AT_ONCE = 0.0  # a deadline
_CANCEL_SECONDS = 5.0
_MANY = 16  # lines are sent together
_SOON_SECONDS = 0.001  # and fewer are after that


class Flow:
    """Submits tasks and gives their results as they end. For one thread at a time. After an interrupt it goes on: what was
    not given yet comes, or comes again. In a child that os.fork makes it has a connection of its own."""

    _lines: Optional[Lines] = None

    def __init__(self, link: Link, tell: Callable[[Optional[str]], None] = lambda code: None):
        """tell is called with the code of an error for which it waits, and with None after that."""
        self._link = link
        self._tell = tell
        self._told: Optional[str] = None
        self._owner = self._process = os.getpid()
        self._orders = Orders()
        self._unsent: List[Line] = []
        self._rest: Optional[Rest] = None  # of lines that have been sent in part
        self._sent_at = 0.0
        self._sent_lines = 0  # on this connection
        self._sends = False  # an interrupt now leaves unknown what has been sent
        self._is_stale = False  # lines may have been read and lost: the connection is good for cancelling alone
        self._is_doubtful = False  # the daemon may still read tasks that were sent on a connection that was given up
        self._gave_up = False  # the daemon has been gone for too long
        self._ready: Dict[str, Outcome] = {}
        self._room = Room(link.seconds)  # what waits for room
        self._tried: Tuple[str, int] = ("", 0)  # a watch of that, and the number by which it is known to be taken
        self._lost: Optional[Retry] = None  # the tries to connect anew

    @property
    def open(self) -> int:
        """How many tasks have no result yet that was given."""
        return len(self._orders) + sum(task_id not in self._orders for task_id in self._ready)

    @property
    def is_ready(self) -> bool:
        """Whether there is one to take."""
        return bool(self._ready)

    def submit(self, task: Task) -> None:
        """Hand the task over, unless it is under way. SubmissionError when it can't be written as JSON."""
        if task.task_id in self._orders:
            return
        text = task.to_text()
        if self._room:
            self._wait_for_room(task.task_id, text)
        else:
            self._unsent.append(self._orders.submit(task.task_id, text))

    def watch(self, task_id: str) -> None:
        """Wait for a task, too, that somebody has submitted."""
        if task_id in self._orders:
            return
        if self._room:
            self._wait_for_room(task_id, None)
        else:
            self._unsent.append(self._orders.watch(task_id))

    def _wait_for_room(self, task_id: str, text: Optional[Text]) -> None:
        self._orders.hold(task_id, text)
        self._room.wait(task_id)

    def flush(self, at_once: bool = False) -> None:
        """Have sent soon, or now, what is to be sent, without waiting for anything."""
        if at_once or len(self._unsent) >= _MANY or self._unsent and time.monotonic() - self._sent_at > _SOON_SECONDS:
            self._try(_AT_ONCE)

    def wait(self, deadline: Optional[float]) -> bool:
        """Return whether something has ended; wait for that until deadline, of time.monotonic() (None: for ever).
        ConnectionLostError when the daemon has been gone for too long."""
        while not self._ready and self._orders:
            self._try(deadline)
            if remaining(deadline) == 0:
                break
        return bool(self._ready)

    def take(self) -> Tuple[str, Outcome]:
        """Return the id of a task that has ended, and its Result or why it has none."""
        task_id = next(iter(self._ready))
        self._orders.forget(task_id)  # an interrupt may have come before that was done
        return task_id, self._ready.pop(task_id)

    def _try(self, deadline: Optional[float]) -> None:
        """Connect, if need be, send and read once."""
        try:
            self._pump(deadline)
        except ResultTimeoutError:
            return  # to connect took too long
        except ConnectionLostError as error:
            self._drop()
            if deadline == _AT_ONCE:
                return  # who waits finds out
            self._lost = self._lost or self._link.retry(deadline, ROOM)
            self._wait_for_daemon(self._lost, error)
        except BaseException:  # an interrupt
            self._is_stale = True
            if self._sends:
                self._drop()
                self._is_doubtful = True
            raise

    def _wait_for_daemon(self, tries: Retry, error: CPULoadBalancerError) -> None:
        self._say(error.code)
        try:
            tries.wait(error)
        except CPULoadBalancerError:
            self._gave_up = True
            raise
        self._gave_up = False

    def _pump(self, deadline: Optional[float]) -> None:
        if self._is_stale or self._process != os.getpid():
            self._drop()
            self._process = os.getpid()
        if self._lines is None:
            self._connect(deadline)
        lines = self._lines
        assert lines is not None
        try:
            self._try_for_room()
            self._send(lines)
            wait = _sooner(remaining(deadline), self._room.seconds())
            for line in lines.receive(0.0 if self._ready else wait, self._rest is not None):
                self._take(line)
            if 0 < self._tried[1] <= self._orders.refused:
                self._is_taken(self._tried[0])
        except (OSError, EOFError) as error:
            raise ConnectionLostError(f"the connection to cpulbd ended: {error}") from error
        except ValueError as error:
            raise ConnectionLostError(f"cpulbd sent a line that can't be read: {error}", "bad_answer") from error

    def _connect(self, deadline: Optional[float]) -> None:
        self._lines = Lines(self._link.path, deadline)
        self._link.heard()
        self._unsent, self._rest, self._sent_lines = self._orders.begin(), None, 0
        self._room.clear()
        self._tried = ("", 0)
        self._say(None)  # the daemon is there, however long it takes until something ends

    def _send(self, lines: Lines) -> None:
        """Send as much as the connection takes: the daemon may wait until what it has sent is read."""
        self._sends = True
        if self._rest is not None:
            self._rest = lines.send_rest(self._rest, _AT_ONCE)
        if self._rest is None and self._unsent:
            unsent, self._unsent = self._unsent, []
            self._rest = lines.send(unsent, _AT_ONCE)
            self._sent_lines += len(unsent)
            self._sent_at = time.monotonic()
        self._sends = False

    def _take(self, line: bytes) -> None:
        for answer in self._orders.deliver(line):
            task_id = answer.task_id
            if answer.error is not None and answer.error.code in FOR_NOW:
                self._say(answer.error.code)
                if not self._room.refused(task_id, answer.error):
                    self._give_up(answer.error)
                continue
            self._is_taken(task_id)
            if answer.found is not None:
                self._room.ended()
                self._end(task_id, Result.from_json(*answer.found))
            elif answer.error is not None:
                self._end(task_id, answer.error)

    def _is_taken(self, task_id: str) -> None:
        """The daemon has it, or refuses it for good: there may be room for the next."""
        if self._tried[0] == task_id:
            self._tried = ("", 0)
        self._room.taken(task_id)
        if not self._room:
            self._say(None)

    def _say(self, code: Optional[str]) -> None:
        if code != self._told:
            self._told = code
            self._tell(code)

    def _end(self, task_id: str, outcome: Outcome) -> None:
        if isinstance(outcome, Result):
            outcome.task_id = task_id  # as it was sent, where an idempotency key makes it another task
        self._ready[task_id] = outcome
        self._orders.forget(task_id)

    def _try_for_room(self) -> None:
        task_id = self._room.due()
        if task_id is not None:
            lines, number = self._orders.trial(task_id)
            self._unsent += lines
            self._tried = (task_id, number)

    def _give_up(self, error: CPULoadBalancerError) -> None:
        for task_id in self._room:
            self._end(task_id, error)
        self._room.clear()
        self._say(None)

    def _drop(self) -> None:
        lines, self._lines = self._lines, None
        self._sends = self._is_stale = False
        if lines is not None:
            lines.close()

    def cancel(self) -> None:
        """Cancel what has not ended, over a new connection if need be, and wait for some seconds at most until the daemon
        knows. A child that os.fork has made does not: the tasks are its parent's."""
        ids = list(self._orders)
        if not ids or self._owner != os.getpid():
            return
        deadline = time.monotonic() + _CANCEL_SECONDS
        tries = self._link.retry(_AT_ONCE if self._gave_up else deadline)
        while True:
            try:
                self._cancel(ids, deadline)
                return
            except (OSError, EOFError) as error:
                lost = CPULoadBalancerError(str(error), "connection_lost")
            except CPULoadBalancerError as error:
                lost = error
            self._drop()
            try:
                tries.wait(lost)
            except CPULoadBalancerError:
                return  # the tasks go on, as they do when a program is killed

    def _cancel(self, ids: List[str], deadline: float) -> None:
        if self._lines is None:
            self._connect(deadline)
            if not self._is_doubtful:
                self._unsent = []
        else:
            self._unsent = []  # the daemon need not know it
        lines = self._lines
        assert lines is not None
        # What is in doubt is submitted again before: then the daemon knows it as cancelled should it read it late.
        self._is_doubtful = False
        self._unsent += self._orders.cancel_all(ids)[0]
        for task_id in ids:
            self._orders.forget(task_id)
        while True:
            self._send(lines)
            left = remaining(deadline)
            is_sent = self._rest is None and not self._unsent
            if is_sent and self._orders.refused >= self._sent_lines or not left:
                return
            for line in lines.receive(left, not is_sent):
                with suppress(ValueError):  # of which an interrupt has lost a part
                    self._orders.deliver(line)

    def close(self) -> None:
        """End the connection. The tasks go on."""
        self._drop()

    def __del__(self) -> None:
        self._drop()


def _sooner(one: Optional[float], other: Optional[float]) -> Optional[float]:
    return other if one is None else one if other is None else min(one, other)
