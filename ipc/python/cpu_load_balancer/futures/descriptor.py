"""Descriptor: a file descriptor that belongs to all who refer to it."""

from __future__ import annotations

import os


class Descriptor:
    """Is closed once, with the last reference: whoever lets go of it, and whatever interrupts that, a thread that sends it
    meanwhile keeps it, and its number is nobody else's until then."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)
