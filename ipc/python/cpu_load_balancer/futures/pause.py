"""Pause: when a daemon that had no room is asked again."""

from __future__ import annotations

import random
import time
from typing import Callable

from .. import link


class Pause:
    """Grows with each refusal, from about a second to some, until there was room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, jitter: Callable[[], float] = random.random):
        """jitter returns 0 to 1."""
        self._clock, self._jitter = clock, jitter
        self._seconds = 0.0
        self.until = 0.0  # when it is over; 0.0: there is none

    def refused(self) -> None:
        """The daemon had no room. What was asked at about the same time shows nothing new."""
        if self.is_over():
            self._seconds = link.longer(self._seconds, link.FULL_PAUSE, link.LONGEST_FULL_PAUSE)
            self.until = self._clock() + self._seconds * (0.75 + self._jitter() / 2)  # not all clients at a time

    def is_over(self) -> bool:
        """Whether the daemon may be asked."""
        if self._clock() >= self.until:
            self.until = 0.0
        return not self.until

    def end(self) -> None:
        """There was room."""
        self._seconds = self.until = 0.0
