"""The worker's side: a task of the daemon that runs the calls of one Executor.

It is sent as text and loaded once in each worker process; what it prepares while it
is loaded, and what the initializer does, is the state of the process at each of its
tasks. A task connects twice to the Executor: calls come and results go on one
connection, which the task's thread alone reads while no call runs; the other is
served by a thread of its own, for what can't wait for a call's end.

Results are written into an outbox, memory that the Executor maps, too, and sent
from there: at once when nothing more is to be run, else together. So when the
process dies the Executor finds there what had ended, and which call was running.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import time
import warnings
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List

from . import memory, wire
from .output import Output
from .raised import failure
from .turn import Turn

_CONNECT_SECONDS = 15.0  # longer than a guest of the Executor may say nothing
_AGAIN_SECONDS = 0.1


class Process:
    """What the calls of one Executor have in common in a worker process."""

    def __init__(self, settings: Dict[str, Any]) -> None:
        self.address = settings["address"]
        self.secret = bytes.fromhex(settings["secret"])
        self.main: Any = None
        self.dumps: Callable[..., bytes] = pickle.dumps
        self.output = Output(settings["alone"])
        self.identity: Any = ()
        with _identity(self):
            self._prepare()

    def connect(self, carrier: int, what: str) -> socket.socket:
        connection = self._connect()
        version = "%d.%d" % sys.version_info[:2]
        hello = ("%s %s %d" % (what, version, os.getpid())).encode()
        wire.send_all(connection, wire.frame(wire.HELLO, carrier, 0, hello))
        return connection

    def _connect(self) -> socket.socket:
        """Return a connection to the Executor, which turns away who comes while it greets too many."""
        until = time.monotonic() + _CONNECT_SECONDS
        while True:
            try:
                return wire.connect(self.address, self.secret)
            except (EOFError, ConnectionResetError, BrokenPipeError):  # not ConnectionRefusedError: nobody listens any more
                if time.monotonic() > until:
                    raise
                time.sleep(_AGAIN_SECONDS)

    def _prepare(self) -> None:
        """Make the process one that can run the Executor's calls, and call the initializer."""
        with self.connect(0, "prepare") as connection:
            incoming = wire.Incoming(connection)
            frames: List[wire.Frame] = []
            while len(frames) < 3:
                frames += incoming.read()
            try:
                self.output.begin([frame[4] for frame in frames[1:]])
                given = memory.take(frames[0][3], frames[0][4])
                prepare(given)
                self.dumps = pickle.loads(given["dumps"])
                self.main = sys.modules["__main__"]
            except BaseException:
                wire.send_all(connection, wire.frame(wire.FAILED, 0, 0, failure()))
                raise
            finally:
                self.output.flush()
                self.output.end()
            wire.send_all(connection, wire.frame(wire.READY))

    def serve(self, carrier: int, limits: Dict[str, float], context: Any) -> Dict[str, int]:
        """Run calls until the Executor has no more, or the task's time is over."""
        if self.main is not None:
            sys.modules["__main__"] = sys.modules["__mp_main__"] = self.main
        with self.connect(carrier, "calls") as calls, self.connect(carrier, "control") as control, _identity(self):
            turn = Turn(self.dumps, self.output, calls, control, limits, context)
            try:
                turn.run()
            finally:
                turn.close()
        return {"calls": turn.done}


@contextmanager
def _identity(of: Process) -> Iterator[None]:
    """Have multiprocessing know this process, meanwhile, as what it was at the end of the last such time: the authkey is the
    program's, and who serves another program's calls in turns would be refused by the first one's managers."""
    from multiprocessing import process
    current = process.current_process()

    def names() -> Any:
        return current.name, current.authkey, process.ORIGINAL_DIR  # type: ignore[attr-defined]

    def take(values: Any) -> None:
        current.name, current.authkey, process.ORIGINAL_DIR = values  # type: ignore[attr-defined]
    before = names()
    if of.identity:
        take(of.identity)
    try:
        yield
    finally:
        of.identity = names()
        take(before)


def prepare(given: Dict[str, Any]) -> None:
    """Do what multiprocessing's spawn does in a new process, and call the initializer."""
    from multiprocessing import process, spawn
    os.environ.clear()
    os.environ.update(given["environ"])
    sys.warnoptions = given["warnings"]
    warnings._processoptions(sys.warnoptions)  # type: ignore[attr-defined]  # as at an interpreter's start
    preparation = given["preparation"]
    if "sys_path" in preparation:
        before, after = given["path"]
        preparation["sys_path"] = [*before, *(entry for entry in sys.path if entry), *after]
    current: Any = process.current_process()
    current._inheriting = True  # an Executor that the main module makes now is an error
    try:
        spawn.prepare(preparation)
    finally:
        del current._inheriting
    sys.path_importer_cache.clear()
    initializer, arguments = pickle.loads(given["initializer"])
    if initializer is not None:
        initializer(*arguments)
