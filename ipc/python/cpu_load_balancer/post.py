"""Post: which line of a Stream is for whom."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterable, List, Sequence

from . import deep
from .exceptions import SubmissionError, from_problem
from .mailbox import Mailbox
from .splitter import Part
from .waiter import Waiter
from .wire import ACCEPTED, ACCEPTED_ID, AFTER_ACCEPTED, BEFORE_RESULT, LONGEST_CURSOR, RESULT, RESULT_ID

_KEPT_RESULTS = 100_000
_KEPT_BYTES = 64 << 20
# Where many threads wait, one whose task is accepted is woken with its result, if that comes soon: then it need not
# sleep again to get it. LATE_SECONDS is for how long nothing comes, _LATEST_SECONDS how long it takes at most.
LATE_SECONDS = 0.001
_LATEST_SECONDS = 0.005
_MANY = 8  # threads
_PRICE = 20  # that is worth while if so many results come soon for each that does not
_MOST_CREDIT = 1000
_AT_ONCE = 1000  # tasks for which it is not tried when it is not; each time twice as many
_MOST_AT_ONCE = 1_000_000
_ELSEWHERE = ()  # the daemon has the result, or will have



class Post:
    """Gives lines to waiters and keeps results that nobody waits for yet. Not safe for concurrent use: its Stream's
    lock guards it."""

    def __init__(self) -> None:
        self.leaving = False  # the daemon ends the connection soon: submit elsewhere
        self._asking: Dict[str, List[Waiter]] = {}  # task id -> waiters for the answers to the lines that submit it, in their order
        self.late: Dict[str, Waiter] = {}  # id of a task that was accepted -> waiter, who is to know it with its result
        self._credit = 0  # of results that came soon
        self._at_once = 0  # tasks for which that is not tried
        self._then_at_once = _AT_ONCE
        self._expected: Dict[str, List[Waiter]] = {}  # id of a task whose result will come -> waiters for it
        self._mailbox = Mailbox(_KEPT_RESULTS, _KEPT_BYTES)

    def expect(self, waiter: Waiter) -> None:
        """Note that waiter sends a line, which submits its task."""
        self._asking.setdefault(waiter.task_id, []).append(waiter)
        waiters = self._expected.setdefault(waiter.task_id, [])
        if waiter.wants_result:
            waiters.append(waiter)

    def take(self, task_id: str) -> Any:
        """Return the result if it is there, empty if it will not come here; None if it will."""
        found = self._mailbox.take(task_id)
        if found is None and task_id not in self._expected:
            return _ELSEWHERE
        return found

    def await_result(self, waiter: Waiter) -> None:
        """Note that waiter waits for a result that will come."""
        self._expected[waiter.task_id].append(waiter)

    def forget(self, waiter: Waiter) -> None:
        """waiter does not wait any more."""
        self._answered(waiter)
        if waiter.accepted is not None and self.late.get(waiter.accepted) is waiter:
            del self.late[waiter.accepted]
        waiters = self._expected.get(waiter.task_id)
        if waiters and waiter in waiters:
            waiters.remove(waiter)

    def _answered(self, waiter: Waiter) -> None:
        waiters = self._asking.get(waiter.task_id)
        if not waiters or waiter not in waiters:
            return
        if len(waiters) == 1:
            del self._asking[waiter.task_id]
        else:
            waiters.remove(waiter)

    def deliver(self, line: Part) -> Sequence[Waiter]:
        """Give line to whom it is for, and return these. ValueError when it can't be read."""
        if line.startswith(RESULT):
            start = line.find(BEFORE_RESULT, RESULT_ID.stop, RESULT_ID.stop + LONGEST_CURSOR)
            if start >= 0:
                return self._result(line[RESULT_ID].decode(), line, start + len(BEFORE_RESULT))
        elif line.startswith(ACCEPTED) and line.startswith(AFTER_ACCEPTED, ACCEPTED_ID.stop):
            task_id = line[ACCEPTED_ID].decode()
            return self._accepted(task_id, task_id)
        elif not line:
            return ()
        return self._other(line)

    def _result(self, task_id: str, line: Part, start: int) -> Sequence[Waiter]:
        waiters: Sequence[Waiter] = self._expected.pop(task_id, ())
        for waiter in waiters:
            waiter.answer = line, start
            if waiter.line:
                self._answered(waiter)
        if not waiters:
            self._mailbox.put(task_id, (line, start), len(line))
        if self.late and (late := self.late.pop(task_id, None)):
            late.answer = task_id
            self._credit = min(self._credit + 1, _MOST_CREDIT)
            self._then_at_once = _AT_ONCE
            return [*waiters, late]
        return waiters

    def _accepted(self, task_id: str, sent: str) -> List[Waiter]:
        # By an idempotency_key the task may be another one than was sent.
        woken = self._renamed(sent, task_id) if sent != task_id else []
        for waiter in self._asking.get(sent, ()):
            if not waiter.wants_result:
                self._answered(waiter)
                if self._is_late(task_id):
                    waiter.accepted, waiter.since = task_id, time.monotonic()
                    self.late[task_id] = waiter
                    return woken
                waiter.answer = task_id
                return [*woken, waiter]
        return woken

    def _is_late(self, task_id: str) -> bool:
        """Return whether who knows that the task is accepted is to know it with its result."""
        if len(self._asking) + len(self.late) < _MANY:
            return False
        if self._at_once > 0:
            self._at_once -= 1
            return False
        return task_id in self._expected and task_id not in self.late

    def accepted_long_ago(self, more: bool) -> List[Waiter]:
        """Return the waiters that are not to wait for their results any longer; more: something has come just now."""
        woken = []
        before = time.monotonic() - (_LATEST_SECONDS if more else LATE_SECONDS)
        while self.late:
            task_id, waiter = next(iter(self.late.items()))
            if waiter.since >= before:
                break
            waiter.answer = waiter.accepted
            del self.late[task_id]
            woken.append(waiter)
        self._credit -= _PRICE * len(woken)
        if self._credit < 0:
            self._credit = 0
            self._at_once, self._then_at_once = self._then_at_once, min(2 * self._then_at_once, _MOST_AT_ONCE)
        return woken

    def _renamed(self, sent: str, task_id: str) -> List[Waiter]:
        """The result of sent comes as that of task_id, to those who have sent it."""
        waiters = self._expected.pop(sent, ())
        self._expected.setdefault(task_id, []).extend(w for w in waiters if w.line)
        return self._elsewhere(w for w in waiters if not w.line)

    def _elsewhere(self, waiters: Iterable[Waiter]) -> List[Waiter]:
        woken = list(waiters)
        for waiter in woken:
            waiter.answer = _ELSEWHERE
        return woken

    def _other(self, line: Part) -> Sequence[Waiter]:
        said = deep.loads(line)
        if not isinstance(said, dict):
            raise ValueError("it is not an object")
        event: Any = said.get("event")
        task_id: Any = said.get("task_id")
        number: Any = said.get("line")
        try:
            if event == "rejected":
                return self._rejected(number, task_id, said["problem"])
            if event == "accepted":
                return self._accepted(task_id, said.get("sent_as", task_id))
            if event == "result":
                return self._result(task_id, deep.dumps(said["result"]).encode(), 0)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"it is not complete: {error!r}") from error
        self.leaving = self.leaving or event == "goaway"
        return ()

    def _rejected(self, number: int, task_id: str, problem: Dict[str, Any]) -> List[Waiter]:
        # It may not name the task, of which it could not be read.
        waiter = next((w for w in self._asking.get(task_id, ()) if w.line == number), None)
        if waiter is None:
            waiter = next((w for waiters in self._asking.values() for w in waiters if w.line == number), None)
        if waiter is None:
            return self._elsewhere(self._expected.pop(task_id, ()))
        waiter.answer = from_problem(problem, SubmissionError)
        self._answered(waiter)
        others = self._expected.pop(waiter.task_id, ())
        return [waiter, *self._elsewhere(w for w in others if w is not waiter)]
