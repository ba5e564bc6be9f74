"""Room: when that is sent again for which the daemon had no room."""

from __future__ import annotations

import random
import time
from typing import Callable, Dict, Iterator, Optional

from . import link
from .exceptions import CPULoadBalancerError


class Room:
    """A line of tasks, of which the first is tried: after a pause, which grows, or in the place of a task that has ended.
    However many wait, the daemon refuses about one try a second. It decides; who has it sends."""

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic, jitter: Callable[[], float] = random.random):
        """patience is for how many seconds a daemon is waited for that is about to go. jitter returns 0 to 1."""
        self._patience, self._clock, self._jitter = patience, clock, jitter
        self._line: Dict[str, None] = {}  # ids, the first one first
        self._tried: Optional[str] = None  # the first of them, while it has no answer
        self._in_place = False  # it is tried for the place of a task that has ended
        self._places = 0  # tasks that have ended since
        self._is_elsewhere = False  # one such place was another caller's already: a pause alone helps
        self._is_full = False  # the last try after a pause was refused
        self._pause = self._next_at = 0.0
        self._going_since: Optional[float] = None

    def __bool__(self) -> bool:
        """Whether somebody waits: who comes now waits behind him."""
        return bool(self._line)

    def __iter__(self) -> Iterator[str]:
        return iter(self._line)

    def wait(self, task_id: str) -> None:
        """Have it wait behind the others."""
        self._line[task_id] = None

    def refused(self, task_id: str, error: CPULoadBalancerError) -> bool:
        """Have what was refused for now wait. Return whether that is worth while: False when the daemon has been about to go
        for too long."""
        is_first = not self._is_full or not self._line
        self._line.setdefault(task_id)
        was_tried = task_id == self._tried
        if was_tried:
            self._tried = None
        if was_tried and self._in_place:
            self._is_elsewhere = True
        elif is_first or was_tried:  # the others were sent at about the same time, and show nothing new
            self._pause = link.longer(0.0 if is_first else self._pause, link.FULL_PAUSE, link.LONGEST_FULL_PAUSE)
            self._next_at = self._clock() + self._pause * (0.75 + self._jitter() / 2)  # not all clients at a time
            self._is_elsewhere = self._is_elsewhere and not is_first
        self._is_full, self._places = True, 0
        if error.code not in link.GOING:
            self._going_since = None
            return True
        if self._going_since is None:
            self._going_since = self._clock()
        return self._clock() - self._going_since < self._patience

    def taken(self, task_id: str) -> None:
        """Note that the daemon has it, or that nobody wants it any more."""
        self._line.pop(task_id, None)
        if task_id == self._tried:
            self._tried, self._going_since = None, None
            if not self._in_place:
                self._is_full = self._is_elsewhere = False
                self._places = 0

    def ended(self) -> None:
        """Note that a task has ended, which makes room for another one."""
        if self._is_full and not self._is_elsewhere:
            self._places += 1

    def due(self) -> Optional[str]:
        """Return what is to be tried now, if something is."""
        if not self._line or self._tried is not None:
            return None
        if not self._is_full or self._clock() >= self._next_at:
            self._in_place = False
        elif self._places:
            self._places -= 1
            self._in_place = True
        else:
            return None
        self._tried = next(iter(self._line))
        return self._tried

    def seconds(self) -> Optional[float]:
        """Return after how long due is to be asked again; None: when something has come."""
        if not self._line or self._tried is not None:
            return None
        return 0.0 if not self._is_full or self._places else max(0.0, self._next_at - self._clock())

    def clear(self) -> None:
        """All is sent anew, on another connection."""
        self._line.clear()
        self._tried, self._is_full, self._is_elsewhere, self._places = None, False, False, 0
        self._going_since = None
