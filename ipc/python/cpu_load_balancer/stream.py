"""Stream: many threads' tasks on one connection, without a thread of its own.

Whoever waits and finds nobody reading becomes the leader: it reads, hands each
line to the thread that waits for it, and, once it has its own, passes the
reading on to another one that waits. So one thread alone pays no hand-over.
"""

import threading
import time

from .connection import remaining
from .exceptions import ConnectionLostError, ResultTimeoutError
from .lines import Lines
from .mailbox import Mailbox

_KEPT_RESULTS = 10_000
_KEPT_BYTES = 64 << 20  # as JSON; Python's objects take several times that
_IS_ELSEWHERE = {}  # no result: the daemon has it, or will have


class Stream:
    """One upgraded connection, safe for concurrent use."""

    def __init__(self, path):
        self._lines = Lines(path)
        self._lock = threading.Lock()  # of all below; never held while reading
        self._sending = threading.Lock()  # taken before _lock, never after
        self._sent = 0  # lines, by which the daemon names one it could not read
        self._unanswered = {}  # number of a submit's line -> task id
        self._answers = {}  # number of a submit's line -> the accepted or rejected line
        self._expected = set()  # ids whose result will come
        self._mailbox = Mailbox(_KEPT_RESULTS, _KEPT_BYTES)
        self._followers = {}  # task id -> conditions of those who wait for a line
        self._reading = False
        self._end = None  # the exception, once the connection is of no more use
        self.leaving = False  # the daemon ends it soon: submit elsewhere

    @property
    def usable(self):
        return self._end is None and not self.leaving

    def submit(self, task_id, text, timeout):
        """Send the task (JSON text) and return its accepted or rejected line. Several
        threads may send the same one: each gets an answer."""
        with self._sending:
            with self._lock:
                self._check()
                self._sent += 1
                line = self._sent
                self._unanswered[line] = task_id
                self._expected.add(task_id)
            try:
                self._lines.send('{"op":"submit","task":' + text + "}")
            except BaseException as error:  # also an interrupt may leave half a line behind
                self._fail(ConnectionLostError(f"sending failed: {error!r}"))
                if not isinstance(error, OSError):
                    raise
        try:
            return self._wait(task_id, self._take_answer, line, time.monotonic() + timeout)
        except BaseException:
            with self._lock:
                self._unanswered.pop(line, None)
                self._answers.pop(line, None)
            raise

    def result(self, task_id, deadline):
        """Return the task's result as a dict, waiting for it; None when it does
        not come here, or not any more: ask the daemon by its id."""
        return self._wait(task_id, self._take_result, task_id, deadline) or None

    def close(self):
        """End the connection; who waits gets ConnectionLostError."""
        self._fail(ConnectionLostError("the connection was closed by this program", "closed"))

    def _take_answer(self, line):
        answer = self._answers.pop(line, None)
        if answer is None:
            self._check()
        return answer

    def _take_result(self, task_id):
        result = self._mailbox.take(task_id)
        if result is None:
            if task_id not in self._expected:
                return _IS_ELSEWHERE
            self._check()
        return result

    def _check(self):
        if self._end is not None:
            raise ConnectionLostError(*self._end.args, self._end.code)

    def _wait(self, task_id, take, key, deadline):
        """Return what take(key) does once it is not None; lines about the task may
        have changed that."""
        with self._lock:
            try:
                while (got := take(key)) is None:
                    if self._reading:
                        self._follow(task_id, deadline)
                    else:
                        self._lead(deadline)
                return got
            finally:
                # Also one who gives up may have been chosen to read.
                if not self._reading and self._followers:
                    next(iter(self._followers.values()))[0].notify()

    def _follow(self, task_id, deadline):
        left = remaining(deadline)
        if left == 0:
            raise ResultTimeoutError(f"task {task_id}: no answer in the time given")
        condition = threading.Condition(self._lock)
        self._followers.setdefault(task_id, []).append(condition)
        try:
            condition.wait(left)
        finally:
            waiting = self._followers[task_id]
            waiting.remove(condition)
            if not waiting:
                del self._followers[task_id]

    def _lead(self, deadline):
        """Read once. _lock is held, but not meanwhile."""
        left = remaining(deadline)
        self._reading = True
        self._lock.release()
        lines, end = [], None
        try:
            lines = self._lines.receive(left)
        except (OSError, EOFError, ValueError) as error:
            end = ConnectionLostError(f"the connection to cpulbd ended: {error}")
        except BaseException:
            # An interrupt: a line of another thread's may have been read and lost.
            end = ConnectionLostError("reading was interrupted")
            raise
        finally:
            self._lock.acquire()
            self._reading = False
            if end is not None or self._end is not None:
                self._ended(end)
        for size, line in lines:
            self._deliver(line, size)
        if self._end is not None:
            return
        if left == 0 and not lines:
            raise ResultTimeoutError("no answer in the time given")

    def _deliver(self, line, size):
        event, task_id = line.get("event"), line.get("task_id")
        if event == "rejected":
            # It may not name the task, of which it could not be read.
            task_id = self._unanswered.get(line.get("line"), task_id)
            self._expected.discard(task_id)
            self._answer(line.get("line"), line)
        elif event == "accepted":
            # By an idempotency_key the task may be another one than was sent.
            sent = line.get("sent_as", task_id)
            if sent != task_id:
                self._expected.discard(sent)
                self._expected.add(task_id)
            self._answer(next((n for n, named in self._unanswered.items() if named == sent), None), line)
            task_id = sent  # whoever waits for this line does so by that name
        elif event == "result":
            self._expected.discard(task_id)
            self._mailbox.put(task_id, line["result"], size)
        elif event == "goaway":
            self.leaving = True
        for condition in self._followers.get(task_id, ()):
            condition.notify()

    def _answer(self, number, answer):
        """Keep the answer to a submit's line, unless nobody waits for it any more."""
        if self._unanswered.pop(number, None) is not None:
            self._answers[number] = answer

    def _fail(self, end):
        with self._lock:
            self._lines.shut()
            self._ended(end)

    def _ended(self, end):
        """Keep the first reason and wake everybody. _lock is held."""
        self._end = self._end or end
        if not self._reading:
            self._lines.close()  # else the leader does, who is still in recv
        for waiting in self._followers.values():
            for condition in waiting:
                condition.notify()
