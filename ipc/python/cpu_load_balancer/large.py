"""Large: a task's JSON that is made while it is sent, piece by piece.

A large text costs more by the memory that it comes into, page by page, than by all that is
done to it: so there is no other text of its size than the caller's own.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii  # type: ignore[attr-defined]
from typing import Iterable, Iterator, List, Tuple, Union

LARGE = 8 << 10  # characters: below it copies are cheaper
_PIECE = 104 << 10  # what the kernel takes at a time, and a core's cache holds
_ESCAPED = bytes(range(32)) + b'"\\'  # of ASCII


class Large:
    """Parts of JSON text that belong together, some of them strings which are yet to be quoted."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: Tuple[str, bool]):
        """parts are pairs of text and whether it is a string's content."""
        self._parts = parts

    def between(self, before: str, after: str) -> Large:
        """Return it with text before and behind it."""
        return Large((before, False), *self._parts, (after, False))

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it as bytes."""
        for text, is_content in self._parts:
            for at in range(0, len(text), _PIECE):
                part = text[at:at + _PIECE]
                yield _quoted(part) if is_content else part.encode()


def joined(lines: Iterable[Union[bytes, Large]]) -> Iterator[bytes]:
    """Yield lines, each bytes or Large, as few pieces of bytes, in order."""
    held: List[bytes] = []
    size = 0
    for line in lines:
        for piece in (line,) if isinstance(line, bytes) else line.pieces():
            held.append(piece)
            size += len(piece)
            if size >= _PIECE:
                yield b"".join(held)
                held, size = [], 0
    if held:
        yield b"".join(held)


def _quoted(content: str) -> bytes:
    """Return part of a string's content as JSON has it between the quotes."""
    if content.isascii():
        plain = content.encode()
        if len(plain.translate(None, _ESCAPED)) == len(plain):
            return plain
    quoted: str = encode_basestring_ascii(content)
    return quoted[1:-1].encode()
