"""Frames between an Executor and its workers, on Unix sockets.

This file and memory.py, raised.py, output.py, turn.py and worker.py are also sent to
the workers, as text: they import nothing of this package but each other.

A frame is a header and a payload. What is large is not in the payload: the frame
comes with a descriptor of memory that both sides map, and its payload says what is
where in it. Both ends show that they know the Executor's secret before either reads
a pickle of the other: anybody can connect to an abstract socket, or take its name
once the Executor has gone.
"""

from __future__ import annotations

import array
import hmac
import os
import socket
import struct
from collections import deque
from typing import Any, Deque, List, Tuple

# number of the call, bytes of the payload, an extra (down: the function, up: nanoseconds), kind, whether memory comes with it
HEADER = struct.Struct("<QIIBB")
FUNCTION, CALL, CHUNK = 1, 2, 3  # down
RESULT, RAISED, UNREADABLE = 4, 5, 6  # up
STOP, GIVE_BACK = 7, 8  # down, on the control connection
GIVEN_BACK, TAKEN, RUNNING, GONE = 9, 10, 11, 12  # and their answers
HELLO, PREPARE, READY, FAILED = 13, 14, 15, 16  # at the start

NONCE_BYTES = 32
_PROOF_BYTES = 32
_READ_BYTES = 64 << 10  # larger ones would be mapped, and unmapped, for each read
_MOST_DESCRIPTORS = 16  # in one message; an end sends one
_SPACE = socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4)

Frame = Tuple[int, int, int, Any, int]  # kind, number, extra, payload, descriptor (-1: none, LOST)
LOST = -2  # a descriptor that came when this process had no room for it


def frame(kind: int, number: int = 0, extra: int = 0, payload: bytes = b"", attached: bool = False) -> bytes:
    """Return a frame as it is sent."""
    return HEADER.pack(number, len(payload), extra, kind, attached) + payload


class Incoming:
    """Reads frames from a socket, for one thread at a time. An interrupt loses nothing, unless it comes in the one moment
    in which is_torn says so."""

    def __init__(self, connection: socket.socket) -> None:
        self._receive = connection.recvmsg
        self._rest = b""
        self._descriptors: Deque[int] = deque()
        self._got: Any = None
        self.frames: List[Frame] = []  # the last ones that were read, until the reader empties it
        self._reads = False

    def read(self, flags: int = 0) -> List[Frame]:
        """Return the frames that are complete, of what one read gives. EOFError at the end, OSError as recvmsg."""
        if self._got is None:
            try:
                self._reads = True
                self._got = self._receive(_READ_BYTES, _SPACE, socket.MSG_CMSG_CLOEXEC | flags)
                self._reads = False
            except OSError as error:
                self._reads = bool(error.__traceback__ and error.__traceback__.tb_next)  # a signal handler's, as any other interrupt
                raise
        data, ancillary, marks = self._got[:3]
        if not data:
            raise EOFError("the other end has closed the connection")
        descriptors = _descriptors(ancillary) if ancillary else [LOST] if marks & socket.MSG_CTRUNC else []
        if self._rest:
            data = self._rest + data
        frames: List[Frame] = []
        position, end, size, taken = 0, len(data), HEADER.size, 0
        while end - position >= size:
            number, length, extra, kind, attached = HEADER.unpack_from(data, position)
            start = position + size
            if start + length > end:
                break
            position = start + length
            descriptor = -1
            if attached:
                came = [*self._descriptors, *descriptors]
                descriptor = came[taken] if taken < len(came) else LOST
                taken += 1
            frames.append((kind, number, extra, data[start:position], descriptor))
        if taken or descriptors:
            self._descriptors = deque([*self._descriptors, *descriptors][taken:])
        self.frames, self._rest, self._got = frames, data[position:], None
        return frames

    def is_left(self) -> bool:
        """Whether an interrupt has left something that has been read to be looked at."""
        return bool(self.frames) or self._got is not None or self._reads

    def is_torn(self) -> bool:
        """Whether an interrupt has lost what was being read."""
        return self._reads

    def close(self) -> None:
        """Close the descriptors that came and were not asked for."""
        got, self._got = self._got, None
        if got is not None:
            self._descriptors.extend(_descriptors(got[1]))
        while self._descriptors:
            descriptor = self._descriptors.popleft()
            if descriptor >= 0:
                os.close(descriptor)


def _descriptors(ancillary: List[Tuple[int, int, bytes]]) -> List[int]:
    numbers = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data[:len(data) - len(data) % numbers.itemsize])
    return list(numbers)


def send(connection: socket.socket, data: Any, descriptor: int = -1) -> int:
    """Send what the connection takes, with the descriptor if there is one, and return how much that was."""
    if descriptor < 0:
        return connection.send(data)
    return connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])


def send_all(connection: socket.socket, data: Any, descriptor: int = -1) -> None:
    """Send all of data on a blocking connection."""
    sent = send(connection, data, descriptor)
    if sent < len(data):
        connection.sendall(memoryview(data)[sent:])


def accept(connection: socket.socket, secret: bytes) -> None:
    """Greet who has connected to the Executor; PermissionError if it does not know the secret."""
    own = os.urandom(NONCE_BYTES)
    connection.sendall(own)
    answer = _exactly(connection, NONCE_BYTES + _PROOF_BYTES)
    other = answer[:NONCE_BYTES]
    _check(answer[NONCE_BYTES:], secret, b"worker", own, other)
    connection.sendall(_proof(secret, b"executor", other, own))


def connect(address: str, secret: bytes) -> socket.socket:
    """Return a connection to the Executor; PermissionError if it is another program that has taken its name."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect("\0" + address)
        other = _exactly(connection, NONCE_BYTES)
        own = os.urandom(NONCE_BYTES)
        connection.sendall(own + _proof(secret, b"worker", other, own))
        _check(_exactly(connection, _PROOF_BYTES), secret, b"executor", own, other)
        return connection
    except BaseException:
        connection.close()
        raise


def _proof(secret: bytes, *parts: bytes) -> bytes:
    return hmac.new(secret, b"".join(parts), "sha256").digest()


def _check(proof: bytes, secret: bytes, *parts: bytes) -> None:
    if not hmac.compare_digest(proof, _proof(secret, *parts)):
        raise PermissionError("the other end does not know the Executor's secret")


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError("the other end has closed the connection")
        data += part
    return data
