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
_STAY_SECONDS = 1.0  # a daemon that is there for so long has come back, and does not just die again


def longer(pause: float, first: float, longest: float) -> float:
    """Return the pause after one; 0.0: there was none."""
    return min(max(pause * _LONGER, first), longest)


class Link:
    """Of one Engine. met is whether its daemon has been there: only then it is looked for when it is not. stayed is until when
    it is known to have been there for a while, by time.monotonic(). is_closed is whether the Engine has been closed."""

    def __init__(self, path: str, seconds: Optional[float], daemon: Optional[PrivateDaemon] = None):
        self.socket = path
        self.is_closed = False
        limit = bounds.seconds(seconds, "reconnect")
        self.seconds = float("inf") if limit is None else limit
        self.daemon = daemon
        self.met = daemon is not None
        self.stayed = float("-inf")
        self._there_since: Optional[float] = None  # it has answered, and no call has lost it since

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

    def heard(self) -> None:
        """Note that the daemon has answered."""
        self.met = True
        if self._there_since is None:
            self._there_since = time.monotonic()

    def lost(self) -> None:
        """Note that a call has lost the daemon, or has not found it."""
        since, self._there_since, now = self._there_since, None, time.monotonic()
        if since is not None and now - since >= min(_STAY_SECONDS, self.seconds):
            self.stayed = now

    def retry(self, deadline: Optional[float] = None, passing: FrozenSet[str] = RESTART, most: Optional[float] = None) -> Retry:
        """Return the further tries of a call that has failed with one of these codes; none begins after deadline, of
        time.monotonic(), or more than most seconds after the daemon has gone."""
        return Retry(self, deadline, passing, self.seconds if most is None else min(most, self.seconds))

    def call(self, attempt: Callable[[], T], deadline: Optional[float] = None, passing: FrozenSet[str] = RESTART) -> T:
        """Return what attempt does, as long as it takes."""
        try:
            done = attempt()
        except CPULoadBalancerError as error:
            failed = error
        else:
            self.heard()
            return done
        return self.again(attempt, failed, deadline, passing)

    def again(self, attempt: Callable[[], T], failed: CPULoadBalancerError, deadline: Optional[float] = None,
              passing: FrozenSet[str] = RESTART) -> T:
        """Return what further attempts do, after one that has failed."""
        retry = self.retry(deadline, passing)
        while True:
            retry.wait(failed)
            try:
                done = attempt()
            except CPULoadBalancerError as error:
                failed = error
            else:
                self.heard()
                return done


class Retry:
    """When a call is tried again. A restart takes a while: a daemon that stops refuses tasks, then there is none. A call
    that outlives one is as patient at the next; a daemon that comes back only to die at once has not been back."""

    def __init__(self, link: Link, deadline: Optional[float], passing: FrozenSet[str], seconds: float):
        self._link = link
        self.passing = passing
        self._deadline = float("inf") if deadline is None else deadline
        self._seconds = seconds
        self._gone_since: Optional[float] = None  # the first failure after the daemon was there
        self._pause = self._full_pause = 0.0

    def next(self, error: CPULoadBalancerError) -> float:
        """Return for how many seconds to wait before the next try. Raise error when there is to be none: it does not
        pass, or has lasted too long. Of a private daemon that has ended, which nobody starts again, or of an Engine that
        was closed meanwhile, it is raised as what that is. A daemon that has no room has not gone: that may last until the
        deadline."""
        link = self._link
        if error.code in RESTART:
            link.check_alive(error)
            link.lost()
        now, is_full = time.monotonic(), error.code in FULL
        if self._gone_since is None or link.stayed > self._gone_since:
            self._gone_since, self._pause = now, 0.0
        elif is_full:
            self._gone_since = now
        left = min(self._deadline, float("inf") if is_full else self._gone_since + self._seconds) - now
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
