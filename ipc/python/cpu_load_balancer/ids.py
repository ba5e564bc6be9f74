"""new_id: ids of tasks, made where the task is."""

from __future__ import annotations

import os
import time
from struct import unpack
from typing import List

_BLOCK = 512  # ids for which chance is fetched at once


class _Ids:
    """Makes ids. Safe for concurrent use, and over fork."""

    def __init__(self) -> None:
        self._chance: List[int] = []
        # A child that had the rest of its parent's chance would make the same ids.
        os.register_at_fork(after_in_child=self._chance.clear)

    def new(self) -> str:
        """Return a UUIDv7 (RFC 9562) as text: it sorts by the time of its creation, to a quarter of a microsecond."""
        try:
            chance = self._chance.pop()
        except IndexError:
            self._chance.extend(unpack(f"{_BLOCK}Q", os.urandom(8 * _BLOCK)))
            return self.new()
        stamp, below = divmod(time.time_ns(), 1_000_000)
        return "%08x-%04x-7%03x-%04x-%012x" % (stamp >> 16 & 0xffffffff, stamp & 0xffff, (below << 12) // 1_000_000,
                                               0x8000 | chance >> 50, chance & 0xffffffffffff)


new_id = _Ids().new
