"""A daemon of one's own, for tests and demonstrations."""
from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from typing import List, Optional, Union

from .exceptions import EngineUnavailableError

_PathLike = Union[str, "os.PathLike[str]"]

#: How long running tasks have when the daemon is stopped, and then the daemon
#: itself before it is killed.
DRAIN_SECONDS = 5.0
STOP_SECONDS = 15.0

#: A socket's path has at most 107 bytes, and the workers' are longer than ours.
_LONGEST_FOLDER = 60


def find_cpulbd(bin_dir: Optional[_PathLike] = None) -> str:
    """Return the path of cpulbd: in bin_dir, else by CPULB_BIN (a folder or the file),
    else in PATH, else in the bin folder of the source tree around this package."""
    named = bin_dir or os.environ.get("CPULB_BIN")
    if named:
        path = Path(named)
        path = path / "cpulbd" if path.is_dir() else path
        if not os.access(path, os.X_OK):
            raise EngineUnavailableError("%s is not a program; build it by \"make build\"" % path, "no_daemon")
        return str(path.absolute())
    found = shutil.which("cpulbd")
    if found:
        return os.path.abspath(found)
    path = Path(__file__).absolute().parents[3] / "bin" / "cpulbd"
    if os.access(path, os.X_OK):
        return str(path)
    raise EngineUnavailableError("cpulbd is not in PATH; name its folder by CPULB_BIN or Engine.private(bin_dir)", "no_daemon")


class PrivateDaemon:
    """A running ``cpulbd -private``. stop() ends it and removes its folder; so does
    the interpreter's exit. The process that made it is the one that ends it, not a
    forked child."""

    def __init__(self, bin_dir: Optional[_PathLike] = None, config: Optional[_PathLike] = None, timeout: float = 30.0):
        program = find_cpulbd(bin_dir)
        self.folder = _make_folder()
        self.socket = os.path.join(self.folder, "cpulb.sock")
        arguments = [program, "-private", "-socket", self.socket, "-state-dir", os.path.join(self.folder, "state")]
        if config is not None:
            arguments += ["-config", os.path.abspath(os.fspath(config))]
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._owner = os.getpid()
        try:
            self.process = self._start(arguments, timeout)
        except BaseException:
            self._finalizer()
            raise
        self._finalizer.detach()
        self._finalizer = weakref.finalize(self, _end, self.process, self.folder, self._owner)

    @property
    def log(self) -> str:
        """What the daemon has logged so far."""
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self) -> None:
        """End the daemon and remove its folder; running tasks have DRAIN_SECONDS."""
        self._finalizer()

    def _start(self, arguments: List[str], timeout: float) -> "subprocess.Popen[bytes]":
        # The daemon tells its readiness as it tells systemd.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(os.path.join(self.folder, "log"), "wb") as log:
            ready.bind(os.path.join(self.folder, "notify"))
            environment = {k: v for k, v in os.environ.items() if not k.startswith(("LISTEN_", "WATCHDOG_"))}
            environment["NOTIFY_SOCKET"] = os.path.join(self.folder, "notify")
            # A session of its own: Ctrl-C at the terminal is the caller's to handle.
            process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
            try:
                self._await_ready(process, ready, timeout)
            except BaseException:
                _stop_process(process)
                raise
        os.unlink(os.path.join(self.folder, "notify"))
        return process

    def _await_ready(self, process: "subprocess.Popen[bytes]", ready: socket.socket, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        ready.settimeout(0.05)  # between looks at whether the process still lives
        while time.monotonic() < deadline:
            try:
                if b"READY=1" in ready.recv(4096):
                    return
            except socket.timeout:
                if process.poll() is not None:
                    raise EngineUnavailableError("cpulbd ended with %d:\n%s" % (process.returncode, self.log.strip()), "no_daemon") from None
        raise EngineUnavailableError("cpulbd was not ready after %g s:\n%s" % (timeout, self.log.strip()), "no_daemon")


def _make_folder() -> str:
    folder = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="cpulb-", dir=folder if len(os.fsencode(folder)) <= _LONGEST_FOLDER else "/tmp")


def _end(process: "subprocess.Popen[bytes]", folder: str, owner: int) -> None:
    if os.getpid() == owner:
        _stop_process(process)
        shutil.rmtree(folder, ignore_errors=True)


def _stop_process(process: "subprocess.Popen[bytes]") -> None:
    # A second SIGTERM tells the daemon not to wait for running tasks.
    for sign, seconds in ((signal.SIGTERM, DRAIN_SECONDS), (signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, None)):
        process.send_signal(sign)
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            continue
