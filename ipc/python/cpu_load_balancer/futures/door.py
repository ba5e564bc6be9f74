"""Door: where workers connect to their Executor."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Deque, Dict, List, Optional, Tuple

from . import wire
from .bell import Bell
from .descriptor import Descriptor

_GREETING_SECONDS = 5
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_MOST_GUESTS = 64  # connections of one user that have not said yet what they are for
_PEER = struct.Struct("3i")  # pid, uid and gid, as the kernel says them


@dataclass
class Arrival:
    """A connection that is open, or why a worker could not be prepared."""

    what: str
    number: int
    pid: int = 0
    version: str = ""
    connection: Optional[socket.socket] = None
    outbox: int = -1  # descriptor
    failure: str = ""

    def close(self) -> None:
        """Let go of it: nobody takes it."""
        if self.connection is not None:
            self.connection.close()
        if self.outbox >= 0:
            os.close(self.outbox)
            self.outbox = -1


class Door:
    """Listens, and greets who comes, each on a thread of its own; what has arrived is for the pool's thread.

    The name is in the abstract namespace, so that workers of another user, or in another mount namespace, find it; who
    does not know the secret gets nothing and is believed nothing. The name can be read in /proc/net/unix: so others can
    connect, but they keep no worker of another user outside, and of a private daemon only its own user's are heard."""

    def __init__(self, bell: Bell, preparation: Tuple[bytes, int], user: Optional[int] = None) -> None:
        """preparation: a payload, and a descriptor of its memory, which stays the caller's. user: whom the workers run as, if
        that is known."""
        self.address = "cpulb-futures-" + secrets.token_hex(16)
        self.secret = secrets.token_bytes(32)
        self.arrived: Deque[Arrival] = deque()
        self._bell = bell
        self._payload, memory = preparation
        self._memory = Descriptor(os.dup(memory)) if memory >= 0 else None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind("\0" + self.address)
        self._listener.listen(128)
        self._listener.setblocking(False)
        self.descriptor = self._listener.fileno()
        self._user = user
        self._lock = threading.Lock()
        self._guests: Dict[int, int] = {}  # by user, how many are being greeted
        self._closed = False
        self._preparing: List[socket.socket] = []

    def open(self) -> bool:
        """Let in who waits; False where there is no descriptor, or thread, for that now."""
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            return error.errno not in _SHORT
        user = peer(connection)
        if not self._is_let_in(user):
            connection.close()  # a worker tries again
            return True
        try:
            threading.Thread(target=self._greet, args=(connection, user), name="cpulb futures door", daemon=True).start()
        except (RuntimeError, MemoryError):
            self._let_go(user)
            connection.close()
            return False
        return True

    def _is_let_in(self, user: int) -> bool:
        if self._user not in (None, user):
            return False
        with self._lock:
            guests = self._guests.get(user, 0)
            if guests >= _MOST_GUESTS:
                return False
            self._guests[user] = guests + 1
        return True

    def _let_go(self, user: int) -> None:
        with self._lock:
            self._guests[user] -= 1
            if not self._guests[user]:
                del self._guests[user]

    def _turn_away(self) -> None:
        """Close the connections that nobody takes any more; several threads may."""
        with suppress(IndexError):
            while True:
                self.arrived.popleft().close()

    def close(self) -> None:
        self._closed = True
        self._turn_away()
        self._listener.close()
        with self._lock:
            self._memory = None  # who sends it has it yet
            preparing = list(self._preparing)
        for connection in preparing:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _greet(self, connection: socket.socket, user: int) -> None:
        arrival: Optional[Arrival] = None
        try:
            connection.settimeout(_GREETING_SECONDS)
            wire.accept(connection, self.secret)
            incoming = wire.Incoming(connection)
            frames = _frames(incoming, 1)
            what, version, pid = frames[0][3].decode().split()
            arrival = Arrival(what, frames[0][1], int(pid), version, connection)
            if what == "calls":
                arrival.outbox = (frames + _frames(incoming, 2 - len(frames)))[1][4]
                if arrival.outbox < 0:
                    raise OSError("its outbox has not come, or there is no descriptor for it")
                _send_output(connection)
        except Exception:
            (arrival or connection).close()  # it is nobody that belongs here, or there is no room for it
            return
        finally:
            self._let_go(user)
        if what == "prepare":
            arrival = self._prepare(connection, incoming, arrival)
        self.arrived.append(arrival)
        self._bell.ring()
        if self._closed:
            self._turn_away()

    def _prepare(self, connection: socket.socket, incoming: wire.Incoming, arrival: Arrival) -> Arrival:
        """Send a worker what it needs before its first call, and wait until it is ready."""
        with self._lock:
            if self._closed:
                return arrival
            self._preparing.append(connection)
            memory = self._memory
        try:
            with connection:
                connection.settimeout(None)  # an initializer may take its time
                number = -1 if memory is None else memory.number
                wire.send_all(connection, wire.frame(wire.PREPARE, 0, 0, self._payload, number >= 0), number)
                _send_output(connection)
                kind, _, _, text, _ = _frames(incoming, 1)[0]
                if kind == wire.FAILED:
                    arrival.failure = text.decode("utf-8", "replace")
        except (OSError, EOFError):
            pass  # the worker has died; its task says so
        finally:
            with self._lock:
                self._preparing.remove(connection)
        return arrival


def peer(connection: socket.socket) -> int:
    """Return the user at the other end."""
    return int(_PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1])


def _frames(incoming: wire.Incoming, count: int) -> List[wire.Frame]:
    frames: List[wire.Frame] = []
    while len(frames) < count:
        frames += incoming.read()
    return frames


def _send_output(connection: socket.socket) -> None:
    """Send this program's descriptors 1 and 2, on which the worker is to print."""
    for number in (1, 2):
        frame = wire.frame(wire.PREPARE, number, 0, b"", True)
        try:
            wire.send_all(connection, frame, number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            with open(os.devnull, "wb") as nothing:  # it has been closed
                wire.send_all(connection, frame, nothing.fileno())
