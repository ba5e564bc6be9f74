"""Waiter: a thread that waits for a line of a Stream."""

from __future__ import annotations

from typing import Any, Optional

from .bells import Bell


class Waiter:
    """Waits for one answer. The lock of its Stream guards it; who has an answer is done with."""

    __slots__ = ("task_id", "line", "wants_result", "answer", "accepted", "since", "leads", "sends", "bell")

    def __init__(self, task_id: str, wants_result: bool):
        self.task_id = task_id
        self.line = 0  # the number of the line that it sends, if it does, by which the daemon refuses it
        self.wants_result = wants_result  # not to know whether the task was accepted
        self.answer: Any = None
        self.accepted: Optional[str] = None  # the id of the task that has been accepted, while its result is waited for, too
        self.since = 0.0  # for how long
        self.leads = False  # it reads for all
        self.sends = False  # what all have to send
        self.bell: Optional[Bell] = None  # of one that sleeps

    def wake(self) -> None:
        """Wake it, if it sleeps or is about to."""
        bell = self.bell
        if bell is not None:
            bell.ring()
