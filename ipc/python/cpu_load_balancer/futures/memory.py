"""What is large, in memory that is passed by its descriptor (memfd).

The sender copies it there once and closes its descriptor; the memory is freed when
the receiver's mapping goes with the last object in it. The mapping is private: what
the receiver writes is its own and the sender's object stays as it was, as after a
copy, but pages that nobody writes to are not copied.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import struct
import sys
from pickle import PickleBuffer, dumps, loads
from typing import Any, Callable, Dict, List, Sequence, Tuple

LARGE_BYTES = 64 << 10
_ALIGNMENT = 64  # of each piece: what vector instructions want
_MOST_WRITE = 1 << 30  # the kernel takes less than 2 GiB at a time
# Before Python 3.13 a mapping keeps a descriptor: then who keeps very many arrays gets copies, and has descriptors left.
_UNTRACKED: Dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
ATOMS = frozenset((int, float, str, bool, type(None)))  # have no buffers


def encode(value: Any, dump: Callable[..., bytes] = dumps) -> Tuple[bytes, int]:
    """Return a pickle of value and -1; where that is large, the description of a memory that holds it, and its descriptor,
    which is the caller's to close."""
    buffers: List[memoryview] = []

    def keep(buffer: PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE_BYTES:
            return True
        buffers.append(raw)
        return False
    pickle = dump(value, protocol=5, buffer_callback=keep)
    if not buffers and len(pickle) < LARGE_BYTES:
        return pickle, -1
    return attach([memoryview(pickle), *buffers])


def take(payload: Any, descriptor: int) -> Any:
    """Return the value that encode gave for these, and close the descriptor."""
    if descriptor == -1:
        return loads(payload)
    try:
        return decode(payload, descriptor)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def attach(pieces: Sequence[memoryview]) -> Tuple[bytes, int]:
    """Return the description and the descriptor of a memory with pieces."""
    descriptor = os.memfd_create("cpulb-futures", os.MFD_CLOEXEC)
    try:
        position = 0
        for piece in pieces:
            _write(descriptor, piece, position)
            position += _aligned(piece.nbytes)
        os.ftruncate(descriptor, max(position, 1))
    except BaseException:
        os.close(descriptor)
        raise
    return struct.pack("<%dQ" % len(pieces), *(piece.nbytes for piece in pieces)), descriptor


def decode(description: bytes, descriptor: int) -> Any:
    """Return the value that encode has put into that memory. What is an array of it lies in the memory. The descriptor
    stays the caller's."""
    if descriptor < 0:
        raise OSError(errno.EMFILE, "the descriptor of its memory was lost: " + os.strerror(errno.EMFILE))
    memory = _mapped(descriptor)
    pieces, position = [], 0
    for (size,) in struct.iter_unpack("<Q", description):
        pieces.append(memory[position:position + size])
        position += _aligned(size)
    return loads(pieces[0], buffers=pieces[1:])


def _mapped(descriptor: int) -> memoryview:
    size = os.fstat(descriptor).st_size
    if _UNTRACKED or descriptor < resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
        try:
            return memoryview(mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE, **_UNTRACKED))
        except OSError:
            pass  # there is no descriptor left for it
    copy = bytearray(size)
    position = 0
    while position < size:
        position += os.preadv(descriptor, [memoryview(copy)[position:position + _MOST_WRITE]], position)
    return memoryview(copy)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _write(descriptor: int, piece: memoryview, position: int) -> None:
    piece = piece.cast("B") if piece.format != "B" or piece.ndim != 1 else piece
    written = 0
    while written < len(piece):
        written += os.pwrite(descriptor, piece[written:written + _MOST_WRITE], position + written)
