"""Stream: many threads' tasks on one connection, without a thread of its own.

Whoever waits and finds nobody reading becomes the leader: it reads, gives each line to the
thread that waits for it, all that came together under one hold of the lock, and, once it
has its own, passes the reading on to another one that waits. So one thread alone pays no
hand-over. In the same way a thread that sends takes along what others have to send
meanwhile.
"""

import threading
import time
from collections import deque

from .connection import remaining
from .exceptions import ConnectionLostError, CPULoadBalancerError, ResultTimeoutError
from .large import Large
from .lines import Lines
from .post import Post
from .waiter import Waiter

_ROUNDS = 8  # of sending what others have, before one of them has to
_TRIES = range(10)  # to leave in order while interrupts come


class Stream:
    """One upgraded connection, safe for concurrent use."""

    def __init__(self, path):
        self._lines = Lines(path)
        self._lock = threading.Lock()  # of all below; never held while reading or sending
        self._post = Post()
        self._taken = 0  # the number of the last line that somebody has begun to send, from 1
        self._sent = 0  # of the last one that was sent; the daemon counts them, too
        self._unsent = []  # lines with the waiters for their answers
        self._sending = False
        self._reading = False
        self._followers = {}  # waiters that sleep, or are about to or have just been woken, the oldest first
        self._answered = deque()  # of the followers, which are to be woken
        self._waking = None  # the follower that has been woken and does not run yet
        self._end = None  # the exception, once the connection is of no more use
        self.usable = True  # to submit; read without the lock

    def submit(self, task_id, text, timeout):
        """Send the task (JSON text, as str or Large) and return the id that the daemon knows it by once it has accepted it. Several
        threads may send the same one: each gets an answer."""
        waiter, line = Waiter(task_id, False), _line('{"op":"submit","task":', text)
        while True:
            try:
                return self._answer(waiter, time.monotonic() + timeout, line)
            except ResultTimeoutError:
                if not self._is_unsent(waiter):  # the time counts from then on
                    raise
                line = None

    def run(self, task_id, text, deadline):
        """Send the task and return its result as result does. One line less comes: that it was accepted."""
        line = _line('{"op":"submit","ack":false,"task":', text)
        return self._answer(Waiter(task_id, True), deadline, line) or None

    def result(self, task_id, deadline):
        """Return the task's result as the text that it is in, and where in it, waiting for it; None when it does not
        come here, or not any more: ask the daemon by its id."""
        with self._lock:
            found = self._post.take(task_id)
            if found is None:
                waiter = Waiter(task_id, True)
                self._post.await_result(waiter)
        return (found if found is not None else self._answer(waiter, deadline)) or None

    def close(self):
        """End the connection; who waits gets ConnectionLostError."""
        self._fail(ConnectionLostError("the connection was closed by this program", "closed"))

    def abandon(self):
        """Free the descriptor in a process that os.fork has made; the connection goes on in the one that opened it."""
        self._lines.close()

    def _check(self):
        if self._end is not None:
            raise ConnectionLostError(*self._end.args, self._end.code)

    def _is_unsent(self, waiter):
        """Return whether waiter has submitted something, only to know that it is accepted, and it could not be sent yet."""
        return waiter.line > self._sent and not waiter.wants_result

    def _send(self, waiter, line):
        with self._lock:
            self._check()
            # An interrupt may come before each of these: only what is there to be sent is counted.
            waiter.line = self._taken + len(self._unsent) + 1
            self._post.expect(waiter)
            self._unsent.append((line, waiter))
        self._flush(waiter)

    def _flush(self, waiter):
        """Have waiter send all that is to be sent, unless another thread does."""
        rounds, heir = 0, None
        while heir is None:
            with self._lock:
                if self._sending or not self._unsent or self._end is not None:
                    return
                waiter.sends = self._sending = True
                unsent, self._unsent = self._unsent, []
                self._taken += len(unsent)
            try:
                self._lines.send([line for line, _ in unsent])
            except OSError as error:
                self._fail(ConnectionLostError(f"sending failed: {error!r}"))
            with self._lock:
                self._sent = self._taken
                waiter.sends = self._sending = False
                self._close_if_over()
                rounds += 1
                heir = self._heir() if rounds >= _ROUNDS else None
        heir.wake()

    def _heir(self):
        """Return a follower that can send, because its own line is to be sent; None if there is none: who reads for all
        is not woken by that. _lock is held."""
        return next((waiter for _, waiter in reversed(self._unsent) if waiter in self._followers), None)

    def _answer(self, waiter, deadline, line=None):
        """Send line, if it is given, wait for the answer, and return it, or raise it if it is an error."""
        try:
            if line is not None:
                self._send(waiter, line)
            while waiter.answer is None or waiter in self._followers:
                with self._lock:
                    if self._followers:
                        self._awake(waiter)
                    has_to_send = waiter.answer is None and self._take_part(waiter)
                    other = self._next() if self._followers else None
                if other is not None:
                    other.wake()
                if has_to_send:
                    self._flush(waiter)
                elif waiter.leads:
                    self._lead(waiter, deadline)
                elif waiter.answer is None:
                    self._follow(waiter, deadline)
        except BaseException as error:
            for _ in _TRIES:  # not even a call may be between that and the exception
                try:
                    self._give_up(waiter, error)
                    break
                except BaseException as interrupt:
                    error = interrupt
            raise error
        if isinstance(waiter.answer, CPULoadBalancerError):
            raise waiter.answer
        return waiter.answer

    def _take_part(self, waiter):
        """Make waiter the leader or a follower, unless there is something to send first: then return True. _lock is held."""
        self._check()
        if self._unsent and not self._sending:
            return True
        if self._reading:
            waiter.prepare()
            self._followers[waiter] = None
        else:
            self._reading = waiter.leads = True
        return False

    def _awake(self, waiter):
        """waiter sleeps no more. _lock is held."""
        self._followers.pop(waiter, None)
        if self._waking is waiter:
            self._waking = None

    def _next(self):
        """Return who is to be woken now, or None. One is woken at a time, and wakes the next: all at once they would but
        wait for each other, for the interpreter. _lock is held."""
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

    def _follow(self, waiter, deadline):
        left = remaining(deadline)
        if left == 0:
            raise ResultTimeoutError(f"task {waiter.task_id}: no answer in the time given")
        waiter.sleep(left)

    def _lead(self, waiter, deadline):
        """Read, until waiter has its answer or the connection ends."""
        while waiter.leads:
            left, lines, end = remaining(deadline), (), None
            try:
                lines = self._lines.receive(left)
            except (OSError, EOFError) as error:
                end = ConnectionLostError(f"the connection to cpulbd ended: {error}")
            with self._lock:
                answered = []
                try:
                    for line in lines:
                        answered += self._post.deliver(line)
                except ValueError as error:
                    end = ConnectionLostError(f"the connection to cpulbd ended: a line can't be read: {error}")
                if end is not None:
                    self._ended(end)
                elif self._post.leaving:
                    self.usable = False
                if waiter.answer is not None or self._end is not None:
                    self._reading = waiter.leads = False
                    self._close_if_over()
                self._answered += [a for a in answered if a in self._followers]
                other = self._next() if self._followers else None
            if other is not None:
                other.wake()
            if left == 0 and waiter.leads:
                raise ResultTimeoutError(f"task {waiter.task_id}: no answer in the time given")

    def _give_up(self, waiter, error):
        """waiter leaves with error: what it did, or was chosen to do, for others is to be done by another one. When an
        interrupt comes meanwhile it is done again, for else others would wait for ever."""
        with self._lock:
            if not (isinstance(error, ResultTimeoutError) and self._is_unsent(waiter)):
                self._post.forget(waiter)
            self._awake(waiter)
            if (waiter.leads or waiter.sends) and not isinstance(error, ResultTimeoutError):
                # Lines of others may have been read and lost, or half a line been sent.
                self._lines.shut()
                self._ended(ConnectionLostError(f"a thread that used it for all was interrupted: {error!r}"))
            if waiter.leads:
                waiter.leads = self._reading = False
            if waiter.sends:
                waiter.sends = self._sending = False
            self._close_if_over()
        self._pass_on(waiter)

    def _pass_on(self, waiter):
        """Have others do what is to be done; waiter has to send what else nobody would."""
        with self._lock:
            heir = self._heir()
            if heir is not None:
                heir.wake()
            self._next()
            if self._waking is not None:
                self._waking.wake()  # an interrupt may have come before that was done
        if heir is None:
            self._flush(waiter)

    def _fail(self, end):
        with self._lock:
            self._lines.shut()
            self._ended(end)

    def _ended(self, end):
        """Keep the first reason and wake everybody. _lock is held."""
        self._end = self._end or end
        self.usable = False
        self._close_if_over()
        for waiter in self._followers:
            waiter.wake()

    def _close_if_over(self):
        """Free the connection, unless somebody uses it, who does it then. _lock is held."""
        if self._end is not None and not self._reading and not self._sending:
            self._lines.close()


def _line(before, text):
    if isinstance(text, Large):
        return text.between(before, "}\n")
    return f"{before}{text}}}\n".encode()
