"""Progress: a line on the terminal that says how far many tasks are."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import Callable, List, Optional, TextIO

Tell = Callable[[Optional[str]], None]

_EVERY_SECONDS = 0.1
_BAR, _LEAST_BAR = 24, 5  # characters
_WINDOW_SECONDS = 10.0  # of which the rate is the mean


class Waits:
    """What those who share a connection wait for."""

    def __init__(self) -> None:
        self._code: Optional[str] = None
        self._tells: List[Tell] = []

    def tell(self, tell: Tell) -> Callable[[], None]:
        """Have tell called with the code of an error for which they wait, and with None after that, until what this returns
        is called."""
        self._tells.append(tell)
        if self._code is not None:
            tell(self._code)
        return partial(self._tells.remove, tell)

    def say(self, code: Optional[str]) -> None:
        """They wait because of such an error; None: no longer."""
        if code != self._code:
            self._code = code
            for tell in self._tells:
                tell(code)


class Progress:
    """Writes to a terminal alone; elsewhere it does nothing. total may be unknown."""

    def __init__(self, total: Optional[int], stream: Optional[TextIO] = None, clock: Callable[[], float] = time.monotonic):
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream is not None and self._stream.isatty()
        self._total, self._clock = total, clock
        self._done = self._failed = 0
        self._waits: Optional[str] = None  # the code of what everything waits for
        self._began = self._marked = clock()
        self._drawn = float("-inf")
        self._marks = [(self._began, 0)]  # (when, how many were done), the oldest first

    def step(self, failed: bool = False) -> None:
        """One more has ended."""
        self._done += 1
        self._failed += failed
        if self._shown and self._clock() - self._drawn >= _EVERY_SECONDS:
            self._draw()

    def waits(self, code: Optional[str]) -> None:
        """What is to be done waits for room, or the next daemon, because of such an error; None: it does so no longer."""
        if code != self._waits:
            self._waits = code
            if self._shown:
                self._draw()

    def close(self) -> None:
        """Leave the last line as it is."""
        if self._shown:
            self._draw()
            self._write("\n")
            self._shown = False

    def text(self, width: Optional[int] = None) -> str:
        """Return the line, of width characters at most: in a narrow one the bar is shorter, or absent, and the end is cut."""
        parts = self._parts()
        line = "  ".join(parts)
        if self._total:
            share = min(self._done / self._total, 1.0)
            bar = _BAR if width is None else min(_BAR, width - len(line) - len("[] "))
            if bar >= _LEAST_BAR:
                full = int(share * bar)
                line = f"[{'#' * full}{'.' * (bar - full)}] {line}"
        return line if width is None else line[:width]

    def _parts(self) -> List[str]:
        now = self._clock()
        parts = []
        if self._total:
            parts.append(f"{self._done:,}/{self._total:,} {min(self._done / self._total, 1.0):4.0%}")
        else:
            parts.append(f"{self._done:,} done")
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        if self._waits:
            parts.append(f"waiting: {self._waits}")
        rate = self._rate(now)
        if rate:
            parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
        if self._total and self._done >= self._total:
            parts.append(f"in {_duration(now - self._began)}")
        elif self._total and rate:
            parts.append(f"ETA {_duration((self._total - self._done) / rate)}")
        return parts

    def _rate(self, now: float) -> float:
        self._marks.append((now, self._done))
        while len(self._marks) > 2 and self._marks[1][0] <= now - _WINDOW_SECONDS:
            del self._marks[0]
        since, before = self._marks[0]
        return (self._done - before) / (now - since) if now > since else 0.0

    def _draw(self) -> None:
        self._drawn = self._clock()
        self._write(f"\r{self.text(self._width())}\x1b[K")

    def _width(self) -> Optional[int]:
        """Return how many characters a line of the terminal may have now, if that is known. In its last column the cursor
        would go to the next line in some."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (AttributeError, OSError, ValueError):
            return None
        return columns - 1 if columns > 1 else None

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more: that is no reason to stop
            self._shown = False


def _duration(seconds: float) -> str:
    minutes, left = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
