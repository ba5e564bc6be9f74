"""Chunks: an answer whose length is not known at its beginning, as HTTP/1.1 sends it."""

from __future__ import annotations

from http.client import HTTPException

_LONGEST_HEAD = 1024


class Chunks:
    """Takes what is read and gives what it says, without a copy of what came before."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0  # bytes of the chunk that begun; below 0: of the line's end behind it
        self._head = b""  # of a chunk whose length is not complete

    def take(self, read: bytes) -> bytes:
        """Return the part of the answer that read brings. HTTPException when it ends too early."""
        if not read:
            raise HTTPException("the answer ended before it was complete")
        if self._head:
            read, self._head = self._head + read, b""
        parts, at = [], 0
        while at < len(read) and not self.ended:
            if self._left == 0:
                at = self._begin(read, at)
            elif self._left < 0:
                step = min(-self._left, len(read) - at)
                at += step
                self._left += step
            else:
                part = read[at:at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                if self._left == 0:
                    self._left = -2
        return b"".join(parts)

    def _begin(self, read: bytes, at: int) -> int:
        """Read the length of the next chunk and return where the chunk begins."""
        end = read.find(b"\r\n", at)
        if end < 0:
            self._head = read[at:]
            if len(self._head) > _LONGEST_HEAD:
                raise HTTPException("the answer has a chunk without a length")
            return len(read)
        length = read[at:end].split(b";")[0].strip()
        if not length or length.strip(b"0123456789abcdefABCDEF"):
            raise HTTPException("the answer has a chunk without a length")
        self._left = int(length, 16)
        self.ended = self._left == 0
        return end + 2
