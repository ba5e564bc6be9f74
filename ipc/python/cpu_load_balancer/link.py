"""Link: where an Engine's daemon is, and for how long it is looked for when it has gone."""

from __future__ import annotations

import time
from typing import Callable, FrozenSet, Optional, TypeVar

from . import bounds
from .exceptions import ConnectionLostError, CPULoadBalancerError
from .private import PrivateDaemon

T = TypeVar("T")

RECONNECT_SECONDS = 60.0
RESTART = frozenset(("connection_lost", "no_daemon", "draining"))  # what a restart of the daemon looks like
# The daemon has no room now and has it again, as tasks end. A test holds these to the daemon's own list.
FOR_NOW = frozenset(("queue_full", "too_many_in_flight", "too_many_watches", "too_many_connections", "draining", "not_ready", "journal_full"))
GOING = frozenset(("draining", "not_ready"))  # of those: the daemon ends soon, or is not quite there
FULL = FOR_NOW - GOING  # it is there, and stays
ROOM = RESTART | FOR_NOW  # what is waited for where many tasks share a connection: it may be refused as a task is
NOT_REACHED = frozenset(("no_daemon", "draining"))  # the same, where nothing can have been done
FULL_PAUSE, LONGEST_FULL_PAUSE = 1.0, 5.0  # the first one before what was refused as FULL is tried again, and the longest
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25
_LONGER = 1.5


def longer(pause: float, first: float, longest: float) -> float:
    """Return the pause after one; 0.0: there was none."""
    return min(max(pause * _LONGER, first), longest)


class Link:
    """Of one Engine. met is whether its daemon has been there: only then it is looked for when it is not. is_closed is whether
    the Engine has been."""

    def __init__(self, path: str, seconds: Optional[float], daemon: Optional[PrivateDaemon] = None):
        self.socket = path
        self.is_closed = False
        limit = bounds.seconds(seconds, "reconnect")
        self.seconds = float("inf") if limit is None else limit
        self.daemon = daemon
        self.met = daemon is not None

    @property
    def path(self) -> str:
        """The socket's; for who connects. ConnectionLostError when the Engine has been closed."""
        self.check_open()
        return self.socket

    def check_open(self) -> None:
        """ConnectionLostError when the Engine has been closed."""
        if self.is_closed:
            raise ConnectionLostError("this Engine has been closed", "closed")

    def check_alive(self, error: CPULoadBalancerError) -> None:
        """ConnectionLostError, because of error, when the Engine has been closed, or had a private daemon that has ended."""
        try:
            self.check_open()
            if self.daemon is not None and self.daemon.has_ended:
                raise ConnectionLostError(f"the private daemon has ended, with status {self.daemon.status}, and is not started again", "no_daemon")
        except ConnectionLostError as end:
            raise end from error

    def retry(self, deadline: Optional[float] = None, passing: FrozenSet[str] = RESTART) -> Retry:
        """Return the further tries of a call that has failed with one of these codes; none begins after deadline, of
        time.monotonic()."""
        return Retry(self, deadline, passing)

    def call(self, attempt: Callable[[], T], deadline: Optional[float] = None, passing: FrozenSet[str] = RESTART) -> T:
        """Return what attempt does, as long as it takes."""
        try:
            done = attempt()
        except CPULoadBalancerError as error:
            failed = error
        else:
            self.met = True
            return done
        return self.again(attempt, failed, deadline, passing)

    def again(self, attempt: Callable[[], T], failed: CPULoadBalancerError, deadline: Optional[float] = None,
              passing: FrozenSet[str] = RESTART) -> T:
        """Return what further attempts do, after one that has failed."""
        retry = self.retry(deadline, passing)
        while True:
            retry.wait(failed)
            try:
                return attempt()
            except CPULoadBalancerError as error:
                failed = error


class Retry:
    """When a call is tried again. A restart takes a while: a daemon that stops refuses tasks, then there is none."""

    def __init__(self, link: Link, deadline: Optional[float], passing: FrozenSet[str]):
        self._link = link
        self.passing = passing
        self._deadline = float("inf") if deadline is None else deadline
        self._until = time.monotonic() + link.seconds
        self._pause = self._full_pause = 0.0

    def next(self, error: CPULoadBalancerError) -> float:
        """Return for how many seconds to wait before the next try. Raise error when there is to be none: it does not
        pass, or has lasted too long. Of a private daemon that has ended, which nobody starts again, or of an Engine that
        was closed meanwhile, it is raised as what that is. A daemon that has no room has not gone: that may last until the
        deadline."""
        link, now = self._link, time.monotonic()
        if error.code in RESTART:
            link.check_alive(error)
        is_full = error.code in FULL
        if is_full:
            self._until = now + link.seconds
        left = min(self._deadline, float("inf") if is_full else self._until) - now
        if error.code not in self.passing or left <= 0 or (error.code == "no_daemon" and not link.met):
            raise error
        link.met = True
        pause, self._pause = self._pause, longer(self._pause, _FIRST_PAUSE, _LONGEST_PAUSE)
        if is_full:
            pause = self._full_pause = longer(self._full_pause, FULL_PAUSE, LONGEST_FULL_PAUSE)
        return min(pause, left)

    def wait(self, error: CPULoadBalancerError) -> None:
        """Wait as next says."""
        pause = self.next(error)
        if pause:
            time.sleep(pause)
