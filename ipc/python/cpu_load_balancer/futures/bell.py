"""Bell: wakes a thread that polls."""

from __future__ import annotations

import socket


class Bell:
    """Rung by any thread, also by a signal's handler."""

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)
        self._there.setblocking(False)
        self.descriptor = self._here.fileno()

    def ring(self) -> None:
        """Make the descriptor readable."""
        try:
            self._there.send(b"\0")
        except OSError:
            pass  # it has been rung often enough, or nobody listens any more

    def hush(self) -> None:
        """Make it unreadable."""
        try:
            self._here.recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        self._here.close()
        self._there.close()
