"""Stream: many threads' tasks on one connection, without a thread of its own.

Whoever waits and finds nobody reading becomes the leader: it reads, gives each line to the
thread that waits for it, all that came together under one hold of the lock, and, once it
has its own, passes the reading on to another one that waits. So one thread alone pays no
hand-over. In the same way a thread that sends takes along what others have to send
meanwhile, and who has something to send while others are being woken leaves it to the last
of these, who most likely have something to send, too.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Sequence, Tuple, Union

from .bells import Bells
from .connection import remaining
from .exceptions import ConnectionLostError, CPULoadBalancerError, ResultTimeoutError
from .large import Large
from .lines import Lines, Rest
from .orders import Found, Line
from .post import LATE_SECONDS, Post
from .splitter import Part
from .waiter import Waiter

_ROUNDS = 8  # of sending what others have, before one of them has to
_JOINED = 16  # lines are not left to others to be sent
_STALL_SECONDS = 30  # without that anything could be sent
_LOOK_SECONDS = 1  # so often who reads looks whether something was left to be sent, by one whose time was over
_AT_ONCE = 0.0  # a deadline: send what the connection takes
_TRIES = range(10)  # to leave in order while interrupts come


class Stream:
    """One upgraded connection, safe for concurrent use."""

    def __init__(self, path: str, deadline: Optional[float] = None):
        self._lines = Lines(path, deadline)
        self._lock = threading.Lock()  # of all below; never held while reading or sending
        self._post = Post()
        self._taken = 0  # the number of the last line that somebody has begun to send, from 1
        self._sent = 0  # of the last one that was sent; the daemon counts them, too
        self._unsent: List[Tuple[Line, Waiter]] = []  # lines with the waiters for their answers
        self._rest: Optional[Rest] = None  # of lines that some have begun to send, when their time was over
        self._sending = False
        self._reading = False
        self._followers: Dict[Waiter, None] = {}  # waiters that sleep, or are about to or have just been woken, the oldest first
        self._answered: Deque[Waiter] = deque()  # of the followers, which are to be woken
        self._waking: Optional[Waiter] = None  # the follower that has been woken and does not run yet
        self._bells = Bells()
        self._end: Optional[ConnectionLostError] = None  # the exception, once the connection is of no more use
        self.usable = True  # to submit; read without the lock

    def submit(self, task_id: str, text: Union[str, Large], timeout: float) -> str:
        """Send the task (JSON text, as str or Large) and return the id that the daemon knows it by once it has accepted
        it. Several threads may send the same one: each gets an answer."""
        waiter = Waiter(task_id, False)
        line: Optional[Line] = _line('{"op":"submit","task":', text)
        while True:
            try:
                return self._answer(waiter, time.monotonic() + timeout, line)  # type: ignore[no-any-return]
            except (ConnectionLostError, ResultTimeoutError) as error:
                if waiter.accepted is not None:  # and only its result was waited for
                    return waiter.accepted
                # The time counts from when it is sent, as long as anything is.
                if not isinstance(error, ResultTimeoutError) or not self._is_unsent(waiter) or self._withdrawn(waiter):
                    raise
                line = None

    def run(self, task_id: str, text: Union[str, Large], deadline: Optional[float]) -> Optional[Found]:
        """Send the task and return its result as result does. One line less comes: that it was accepted."""
        line = _line('{"op":"submit","ack":false,"task":', text)
        return self._answer(Waiter(task_id, True), deadline, line) or None

    def result(self, task_id: str, deadline: Optional[float]) -> Optional[Found]:
        """Return the task's result as the text that it is in, and where in it, waiting for it; None when it does not
        come here, or not any more: ask the daemon by its id."""
        with self._lock:
            found = self._post.take(task_id)
            if found is None:
                waiter = Waiter(task_id, True)
                self._post.await_result(waiter)
        return (found if found is not None else self._answer(waiter, deadline)) or None

    def close(self) -> None:
        """End the connection; who waits gets ConnectionLostError."""
        self.usable = False
        self._end = self._end or ConnectionLostError("the connection was closed by this program", "closed")
        self._lines.shut()
        # A signal's handler must not wait for what it has interrupted. Who holds the lock finds the end, as does who
        # reads; each who leaves because of it wakes another.
        if not self._lock.locked():
            with self._lock:
                self._ended_locked(self._end)

    def abandon(self) -> None:
        """Free the descriptor in a process that os.fork has made; the connection goes on in the one that opened it."""
        try:
            self._lines.close()
        except OSError:
            pass  # who makes a daemon of itself has closed all it had

    def _check(self) -> None:
        if self._end is not None:
            raise ConnectionLostError(str(self._end), self._end.code)

    def _is_unsent(self, waiter: Waiter) -> bool:
        """Return whether waiter has submitted something, only to know that it is accepted, and it could not be sent yet."""
        return waiter.line > self._sent and not waiter.wants_result

    def _withdrawn(self, waiter: Waiter) -> bool:
        """Forget waiter if nothing has been sent for long, with its line, unless somebody has begun to send it."""
        with self._lock:
            stalled = self._lines.stalled_for() > _STALL_SECONDS
            if stalled:
                self._post.forget(waiter)
                # The daemon counts lines; it does not look at an empty one.
                self._unsent = [(b"\n" if other is waiter else line, other) for line, other in self._unsent]
        return stalled

    def _send(self, waiter: Waiter, line: Line, deadline: Optional[float]) -> None:
        with self._lock:
            if self._end is not None:
                self._check()
            # An interrupt may come before each of these: only what is there to be sent is counted.
            waiter.line = self._taken + len(self._unsent) + 1
            self._post.expect(waiter)
            self._unsent.append((line, waiter))
            if self._is_left():
                if self._reading:
                    self._follow_locked(waiter)
                return
        self._flush(waiter, deadline)

    def _follow_locked(self, waiter: Waiter) -> None:
        """Have waiter sleep until it is woken."""
        waiter.bell = self._bells.take()
        self._followers[waiter] = None

    def _is_left(self) -> bool:
        """Return whether what is to be sent is left to the follower that has just been woken. Only under _lock it stays so."""
        return self._waking is not None and len(self._unsent) < _JOINED

    def _has_to_send(self) -> bool:
        """Return whether there is something to send and nobody does or will. Only under _lock it stays so."""
        return bool(self._unsent or self._rest) and not self._sending and not self._is_left()

    def _flush(self, waiter: Waiter, deadline: Optional[float]) -> None:
        """Have waiter send all that is to be sent, unless another thread does, until deadline (None: to the end)."""
        rounds = 0
        heir: Optional[Waiter] = None
        rest: Optional[Rest] = None
        while heir is None and rest is None:
            with self._lock:
                if self._sending or not (self._unsent or self._rest) or self._end is not None:
                    return
                waiter.sends = self._sending = True
                rest, self._rest = self._rest, None
                lines: Sequence[Line] = self._take_unsent_locked() if rest is None else ()
            try:
                rest = self._lines.send(lines, deadline) if rest is None else self._lines.send_rest(rest, deadline)
            except OSError as error:
                rest = None
                self._fail(ConnectionLostError(f"sending failed: {error!r}"))
            with self._lock:
                self._rest = rest
                if rest is None:
                    self._sent = self._taken
                waiter.sends = self._sending = False
                if self._end is not None:
                    self._close_if_over_locked()
                if rest is None and not self._unsent:
                    return
                rounds += 1
                heir = self._heir_locked() if rounds >= _ROUNDS or rest else None
        if heir is not None:
            heir.wake()

    def _take_unsent_locked(self) -> List[Line]:
        """Return the lines that are to be sent."""
        unsent, self._unsent = self._unsent, []
        self._taken += len(unsent)
        return [line for line, _ in unsent]

    def _heir_locked(self) -> Optional[Waiter]:
        """Return a follower that can send, because its own line is to be sent, or a part of a line is; None if there is
        none: who reads for all is not woken by that, and looks now and then."""
        heir = next((waiter for _, waiter in reversed(self._unsent) if waiter in self._followers), None)
        return next(iter(self._followers), None) if heir is None and self._rest else heir

    def _answer(self, waiter: Waiter, deadline: Optional[float], line: Optional[Line] = None) -> Any:
        """Send line, if it is given, wait for the answer, and return it, or raise it if it is an error."""
        try:
            if line is not None:
                self._send(waiter, line, deadline)
            while waiter.answer is None or waiter.bell is not None:
                if waiter.answer is None and waiter.bell is not None:
                    waiter.bell.wait(_left(waiter, deadline))
                with self._lock:
                    if waiter.bell is not None:
                        self._awake_locked(waiter)
                    waits = waiter.answer is None
                    has_to_send = waits and self._take_part_locked(waiter)
                    other = self._next_locked() if self._followers else None
                    has_to_send = has_to_send or not waits and self._has_to_send()
                if other is not None:
                    other.wake()
                if has_to_send:
                    if waits:
                        _left(waiter, deadline)
                    self._flush(waiter, deadline if waits else _AT_ONCE)
                elif waiter.leads:
                    self._lead(waiter, deadline)
        except BaseException as error:
            for _ in _TRIES:  # not even a call may be between that and the exception
                try:
                    self._give_up(waiter, error)
                    break
                except BaseException as interrupt:
                    error = interrupt
            if waiter.answer is None or not isinstance(error, ResultTimeoutError):
                raise error  # else the answer has come in the last moment, and nobody else has it
        if self._end is not None:
            with self._lock:
                self._close_if_over_locked()  # it may have ended while this thread held the lock
        if isinstance(waiter.answer, CPULoadBalancerError):
            raise waiter.answer
        return waiter.answer

    def _take_part_locked(self, waiter: Waiter) -> bool:
        """Make waiter the leader or a follower, unless there is something to send first: then return True."""
        if self._end is not None:
            self._check()
        if self._has_to_send():
            return True
        if self._reading:
            self._follow_locked(waiter)
        else:
            self._reading = waiter.leads = True
        return False

    def _awake_locked(self, waiter: Waiter) -> None:
        """waiter sleeps no more."""
        self._followers.pop(waiter, None)
        bell, waiter.bell = waiter.bell, None
        if bell is not None:
            self._bells.give(bell)
        if self._waking is waiter:
            self._waking = None

    def _next_locked(self) -> Optional[Waiter]:
        """Return who is to be woken now, or None. One is woken at a time, and wakes the next: all at once they would but
        wait for each other, for the interpreter."""
        if self._waking is None:
            while self._answered and self._waking is None:
                other = self._answered.popleft()
                if other in self._followers:
                    self._waking = other
            if self._waking is None and not self._reading:
                # The newest is to lead: most likely its answer comes last.
                self._waking = next((w for w in reversed(self._followers) if w.answer is None), None)
            return self._waking
        return None

    def _lead(self, waiter: Waiter, deadline: Optional[float]) -> None:
        """Read, until waiter has its answer or the connection ends."""
        while waiter.leads:
            left = remaining(deadline)
            lines: Sequence[Part] = ()
            end: Optional[ConnectionLostError] = None
            most = LATE_SECONDS if self._post.late else _LOOK_SECONDS
            try:
                # Without the lock: it is looked again.
                lines = self._lines.receive(most if left is None or left > most else left, self._has_to_send())
            except (OSError, EOFError) as error:
                end = ConnectionLostError(f"the connection to cpulbd ended: {error}")
            with self._lock:
                answered: List[Waiter] = []
                try:
                    for line in lines:
                        answered += self._post.deliver(line)
                    if self._post.late:
                        answered += self._post.accepted_long_ago(bool(lines))
                except ValueError as error:
                    end = ConnectionLostError(f"the connection to cpulbd ended: a line can't be read: {error}")
                if end is not None:
                    self._ended_locked(end)
                elif self._post.leaving:
                    self.usable = False
                if waiter.answer is not None or self._end is not None:
                    self._reading = waiter.leads = False
                    self._close_if_over_locked()
                other = None
                if self._followers:
                    self._answered += [a for a in answered if a in self._followers]
                    other = self._next_locked()
                has_to_send = self._has_to_send()
            if other is not None:
                other.wake()
            if has_to_send:
                self._flush(waiter, _AT_ONCE)
            if left == 0 and waiter.leads:
                _left(waiter, deadline)

    def _give_up(self, waiter: Waiter, error: BaseException) -> None:
        """waiter leaves with error: what it did, or was chosen to do, for others is to be done by another one. When an
        interrupt comes meanwhile it is done again, for else others would wait for ever."""
        with self._lock:
            if not (isinstance(error, ResultTimeoutError) and self._is_unsent(waiter)):
                self._post.forget(waiter)
            self._awake_locked(waiter)
            if (waiter.leads or waiter.sends) and not isinstance(error, ResultTimeoutError):
                # Lines of others may have been read and lost, or half a line been sent.
                self._lines.shut()
                self._ended_locked(ConnectionLostError(f"a thread that used it for all was interrupted: {error!r}"))
            if waiter.leads:
                waiter.leads = self._reading = False
            if waiter.sends:
                waiter.sends = self._sending = False
            self._close_if_over_locked()
        self._pass_on(waiter)

    def _pass_on(self, waiter: Waiter) -> None:
        """Have others do what is to be done; waiter has to send what else nobody would."""
        with self._lock:
            heir = self._heir_locked()
            if heir is not None:
                heir.wake()
            self._next_locked()
            if self._waking is not None:
                self._waking.wake()  # an interrupt may have come before that was done
        if heir is None:
            self._flush(waiter, _AT_ONCE)

    def _fail(self, end: ConnectionLostError) -> None:
        with self._lock:
            self._lines.shut()
            self._ended_locked(end)

    def _ended_locked(self, end: ConnectionLostError) -> None:
        """Keep the first reason and wake everybody."""
        self._end = self._end or end
        self.usable = False
        self._close_if_over_locked()
        for waiter in self._followers:
            waiter.wake()

    def _close_if_over_locked(self) -> None:
        """Free the connection, unless somebody uses it, who does it then."""
        if self._end is not None and not self._reading and not self._sending:
            self._lines.close()


def _line(before: str, text: Union[str, Large]) -> Line:
    if isinstance(text, Large):
        return text.between(before, "}\n")
    return f"{before}{text}}}\n".encode()


def _left(waiter: Waiter, deadline: Optional[float]) -> Optional[float]:
    """Return the seconds until deadline (None: for ever). ResultTimeoutError if there are none."""
    left = remaining(deadline)
    if left == 0:
        raise ResultTimeoutError(f"task {waiter.task_id}: no answer in the time given")
    return left
