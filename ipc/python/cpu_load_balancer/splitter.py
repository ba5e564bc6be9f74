"""Splitter: what is read from a connection, as lines."""

from __future__ import annotations

from typing import List, Union

_LONG_LINE_BYTES = 1 << 20

Part = Union[bytes, bytearray]


class Splitter:
    """Keeps the beginning of a line until its end comes."""

    def __init__(self) -> None:
        self._parts: List[Part] = []  # of a line that is not complete
        self._long = False  # they are one bytearray

    def take(self, chunk: bytes) -> List[Part]:
        """Return the lines that are complete with chunk."""
        lines: List[Part] = []
        if self._parts:
            end = chunk.find(b"\n")
            if end < 0:
                self._append(chunk)
                return lines
            self._append(chunk[:end])
            lines.append(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts.clear()
            self._long = False
            chunk = chunk[end + 1:]
        lines += chunk.split(b"\n")
        rest = lines.pop()
        if rest:
            self._parts.append(rest)
        return lines

    def _append(self, part: bytes) -> None:
        """Add to the line that is not complete. A long one grows where it is: to join its parts would take as much
        memory again."""
        if self._long:
            long = self._parts[0]
            assert isinstance(long, bytearray)
            long += part
            return
        self._parts.append(part)
        if len(self._parts) * len(part) >= _LONG_LINE_BYTES:
            self._parts, self._long = [bytearray().join(self._parts)], True
