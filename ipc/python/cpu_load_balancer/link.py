"""Link: where an Engine's daemon is, and for how long it is looked for when it has gone."""

from __future__ import annotations

import time
from typing import Callable, FrozenSet, Optional, TypeVar

from .exceptions import CPULoadBalancerError
from .private import PrivateDaemon

T = TypeVar("T")

RECONNECT_SECONDS = 60.0
RESTART = frozenset(("connection_lost", "no_daemon", "draining"))  # what a restart of the daemon looks like
# The daemon has no room now and has it again, as tasks end. A test holds these to the daemon's own list.
FOR_NOW = frozenset(("queue_full", "too_many_in_flight", "too_many_watches", "too_many_connections", "draining", "not_ready", "journal_full"))
ROOM = RESTART | FOR_NOW  # what is waited for where many tasks share a connection: it may be refused as a task is
NOT_REACHED = frozenset(("no_daemon", "draining"))  # the same, where nothing can have been done
_FIRST_PAUSE, _LONGER, _LONGEST_PAUSE = 0.005, 1.5, 0.25


class Link:
    """Of one Engine. met is whether its daemon has been there: only then it is looked for when it is not."""

    def __init__(self, path: str, seconds: Optional[float], daemon: Optional[PrivateDaemon] = None):
        self.path = path
        self.seconds = float("inf") if seconds is None else seconds
        self.daemon = daemon
        self.met = daemon is not None

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
        self._until = time.monotonic() + link.seconds
        if deadline is not None and deadline < self._until:
            self._until = deadline
        self._pause = 0.0

    def next(self, error: CPULoadBalancerError) -> float:
        """Return for how many seconds to wait before the next try. Raise error when there is to be none: it does not
        pass, or has lasted too long, or the daemon was a private one, which nobody starts again."""
        link = self._link
        gone = link.daemon is not None and link.daemon.has_ended
        left = self._until - time.monotonic()
        if error.code not in self.passing or gone or left <= 0 or (error.code == "no_daemon" and not link.met):
            raise error
        link.met = True
        pause, self._pause = self._pause, min(max(self._pause * _LONGER, _FIRST_PAUSE), _LONGEST_PAUSE)
        return min(pause, left)

    def wait(self, error: CPULoadBalancerError) -> None:
        """Wait as next says."""
        pause = self.next(error)
        if pause:
            time.sleep(pause)
