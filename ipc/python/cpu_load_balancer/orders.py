"""Orders: what was asked on a stream and has no answer yet."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from . import deep
from .exceptions import CPULoadBalancerError, SubmissionError, from_problem
from .large import Large
from .wire import ACCEPTED, ACCEPTED_ID, AFTER_ACCEPTED, BEFORE_RESULT, LONGEST_CURSOR, RESULT, RESULT_ID

Line = Union[bytes, Large]
Text = Union[str, Large]  # a task as JSON
Found = Tuple[bytes, int]  # the text that a result is in, and where in it


class Answer(NamedTuple):
    """What has come for the task that was sent, or watched, as task_id. One of the others is set."""

    task_id: str
    known_as: Optional[str] = None  # accepted; by an idempotency key it may be another task
    found: Optional[Found] = None
    error: Optional[CPULoadBalancerError] = None


_SUBMIT, _SUBMIT_QUIETLY = '{"op":"submit","task":', '{"op":"submit","ack":false,"task":'


class _Order:
    __slots__ = ("ack", "number", "text")

    def __init__(self, text: Optional[Text], ack: bool):
        self.text = text  # of the task that is submitted; None: it is watched
        self.ack = ack
        self.number = 0  # of the line on this connection; 0: there was none yet

    def line(self, task_id: str, ack: bool) -> Line:
        if self.text is None:
            return f'{{"op":"watch","task_id":"{task_id}"}}\n'.encode()
        before = _SUBMIT if ack else _SUBMIT_QUIETLY
        return self.text.between(before, "}\n") if isinstance(self.text, Large) else f"{before}{self.text}}}\n".encode()


class Orders:
    """Makes lines and reads the answers. After a lost connection it has all that is to be sent on the next one: the same
    id and text is the same task. Not safe for concurrent use."""

    def __init__(self) -> None:
        self.leaving = False  # the daemon ends the connection soon
        self.refused = 0  # the number of the last line that was refused and belongs to no order
        self._open: Dict[str, _Order] = {}
        self._by_number: Dict[int, str] = {}
        self._renamed: Dict[str, List[str]] = {}  # id of a task -> the ids that it was sent as, too
        self._lines = 0  # that were made for this connection; the daemon counts them, too

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[str]:
        return iter(self._open)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._open

    def submit(self, task_id: str, text: Text, ack: bool = False) -> Line:
        """Return the line that submits a task, whose JSON is text."""
        return self._made(task_id, _Order(text, ack))

    def watch(self, task_id: str) -> Line:
        """Return the line that asks for the result of a task, whoever submitted it."""
        return self._made(task_id, _Order(None, False))

    def hold(self, task_id: str, text: Optional[Text]) -> None:
        """Have a task that is to be submitted, or watched, be open without a line: it is tried later."""
        self._open[task_id] = _Order(text, False)

    def cancel(self, task_id: str) -> bytes:
        """Return the line that cancels a task. That it can't be is not told."""
        self._lines += 1
        return f'{{"op":"cancel","task_id":"{task_id}"}}\n'.encode()

    def cancel_all(self, task_ids: Iterable[str]) -> Tuple[List[bytes], int]:
        """Return the lines that cancel tasks; once all have been read, refused is the number that comes with them."""
        lines = [self.cancel(task_id) for task_id in task_ids]
        lines.append(self.cancel("none"))
        return lines, self._lines

    def again(self, task_id: str) -> Line:
        """Return the line once more, of an order that was put off."""
        return self._made(task_id, self._open[task_id])

    def trial(self, task_id: str) -> Tuple[List[Line], int]:
        """Return the lines by which an order that was put off, or held, is tried. That the daemon takes it is known once it
        is accepted, or, of a watch, once refused is the number that comes with them; else that is 0."""
        order = self._open[task_id]
        lines = [self._made(task_id, order, ack=True)]
        if order.text is not None:
            return lines, 0
        lines.append(self.cancel("none"))
        return lines, self._lines

    def begin(self) -> List[Line]:
        """Return the lines of all that is open, for a new connection."""
        self.leaving, self._lines, self.refused = False, 0, 0
        self._by_number.clear()
        self._renamed.clear()
        return [self._made(task_id, order) for task_id, order in list(self._open.items())]

    def accepted(self, task_id: str) -> None:
        """From now on the task is watched: its text is not needed any more."""
        order = self._open.get(task_id)
        if order is not None:
            order.text = None

    def forget(self, task_id: str) -> None:
        """Nobody waits for its answer any more."""
        order = self._open.pop(task_id, None)
        if order is not None:
            self._by_number.pop(order.number, None)

    def _made(self, task_id: str, order: _Order, ack: bool = False) -> Line:
        self._by_number.pop(order.number, None)
        self._lines += 1
        order.number = self._lines
        self._open[task_id] = order
        self._by_number[order.number] = task_id
        return order.line(task_id, order.ack or ack)

    def deliver(self, line: bytes) -> List[Answer]:
        """Return the answers that the line is. ValueError when it can't be read. All but what is refused for now, as
        the caller may find, is over: forget it."""
        if line.startswith(RESULT):
            start = line.find(BEFORE_RESULT, RESULT_ID.stop, RESULT_ID.stop + LONGEST_CURSOR)
            if start >= 0:
                return self._result(line[RESULT_ID].decode(), (line, start + len(BEFORE_RESULT)))
        elif line.startswith(ACCEPTED) and line.startswith(AFTER_ACCEPTED, ACCEPTED_ID.stop):
            task_id = line[ACCEPTED_ID].decode()
            return [Answer(task_id, known_as=task_id)] if task_id in self._open else []
        elif not line:
            return []
        return self._other(deep.loads(line))

    def _result(self, task_id: str, found: Found) -> List[Answer]:
        sent = self._renamed.pop(task_id, [])
        return [Answer(name, found=found) for name in [task_id, *sent] if name in self._open]

    def _other(self, said: Any) -> List[Answer]:
        if not isinstance(said, dict):
            raise ValueError("it is not an object")
        event: Any = said.get("event")
        task_id: Any = said.get("task_id")
        try:
            if event == "rejected":
                return self._rejected(said["line"], said["problem"])
            if event == "accepted":
                sent = said.get("sent_as", task_id)
                if sent != task_id and sent in self._open:
                    names = self._renamed.setdefault(task_id, [])
                    if sent not in names:
                        names.append(sent)
                return [Answer(sent, known_as=task_id)] if sent in self._open else []
            if event == "result":
                return self._result(task_id, (deep.dumps(said["result"]).encode(), 0))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"it is not complete: {error!r}") from error
        self.leaving = self.leaving or event == "goaway"
        return []

    def _rejected(self, number: int, problem: Dict[str, Any]) -> List[Answer]:
        task_id = self._by_number.get(number)
        if task_id is None:
            self.refused = number
            return []
        watches = self._open[task_id].text is None
        error = from_problem(problem, CPULoadBalancerError if watches else SubmissionError)
        error.task_id = task_id
        return [Answer(task_id, error=error)]
