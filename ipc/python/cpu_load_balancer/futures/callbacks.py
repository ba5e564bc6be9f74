"""Callbacks: calls what a program wants to have called when its calls have ended."""

from __future__ import annotations

import threading
from _thread import get_ident
from collections import deque
from typing import TYPE_CHECKING, Deque

from .bell import Bell

if TYPE_CHECKING:
    from .call import Call


class Callbacks:
    """Has done callbacks called by one thread, the executor's, whichever thread gives a call its end: that may be one that
    waits for another call, or submits one, and a callback may take as long as it wants, or wait for that very thread."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._lock = threading.Lock()
        self._thread = 0  # 0: there is none
        self._calls: Deque["Call"] = deque()

    def begin(self) -> None:
        """The calling thread is the one."""
        self._thread = get_ident()

    def call(self, call: "Call") -> None:
        """Have called what is to be called for a call that has ended."""
        if not self._leaves(call):
            call.invoke_callbacks()

    def _leaves(self, call: "Call") -> bool:
        with self._lock:
            if self._thread in (0, get_ident()):
                return False
            self._calls.append(call)
        self._bell.ring()
        return True

    def call_all(self) -> None:
        """Call what was left to this thread."""
        while self._calls:
            self._calls.popleft().invoke_callbacks()

    def end(self) -> None:
        """The same, and what comes later is called by who brings it."""
        with self._lock:
            self._thread = 0
        self.call_all()
