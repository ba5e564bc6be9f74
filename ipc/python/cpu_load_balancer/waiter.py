"""Waiter: a thread that waits for a line of a Stream."""

from threading import TIMEOUT_MAX, Lock


class Waiter:
    """Waits for one answer. The lock of its Stream guards it; who has an answer is done with."""

    __slots__ = ("task_id", "line", "wants_result", "answer", "leads", "sends", "_gate")

    def __init__(self, task_id, wants_result):
        self.task_id = task_id
        self.line = 0  # the number of the line that it sends, if it does, by which the daemon refuses it
        self.wants_result = wants_result  # not to know whether the task was accepted
        self.answer = None
        self.leads = False  # it reads for all
        self.sends = False  # what all have to send
        self._gate = None

    def prepare(self):
        """To be called before others can wake it."""
        if self._gate is None:
            self._gate = Lock()
            self._gate.acquire()

    def sleep(self, seconds):
        """Wait for wake, at most for seconds (None: for ever)."""
        self._gate.acquire(True, -1 if seconds is None else min(seconds, TIMEOUT_MAX))

    def wake(self):
        """End sleep, or let the next one end at once; without prepare it does nothing."""
        try:
            if self._gate is not None:
                self._gate.release()
        except RuntimeError:
            pass  # it was woken before
