"""PrivateDaemon: a cpulbd of one's own, for tests, demonstrations and notebooks."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import time
import weakref
from typing import Optional, Union

from .api import call
from .exceptions import CPULoadBalancerError, ResultTimeoutError

Place = Union[None, str, "os.PathLike[str]"]

_START_SECONDS = 60
_STOP_SECONDS = 60  # above the default of limits.drain_timeout
_USUAL_SECONDS = 5  # after which it is asked whether it hangs, ...
_ANSWER_SECONDS = 5  # ... and answers within these, if not
_POLL_SECONDS = 0.02
_LAST_LINES = 20
_MOST_SOCKET_BYTES = 55  # of the 107 that a socket's path may have; the workers' own, in a folder beside it, take the rest
_SHORT_FOLDER = "/tmp"  # where TMPDIR is too long for that


class PrivateDaemon:
    """A running daemon in a folder of its own. It is stopped by stop, and at the
    latest when this object or the interpreter ends. When this process is killed, the
    daemon ends by itself once every child that os.fork made has ended, too; its
    folder with the log stays then."""

    def __init__(self, bin_dir: Place = None, config: Place = None):
        program = _find(bin_dir)
        self.folder = _make_folder()
        self.socket = os.path.join(self.folder, "s")
        command = [program, "-private", "-until-eof", "-socket", self.socket, "-state-dir", os.path.join(self.folder, "state")]
        if config is not None:
            command += ["-config", os.path.abspath(config)]
        try:
            # A file, not a pipe: nobody would empty the pipe of a chatty daemon.
            with open(os.path.join(self.folder, "log"), "wb") as log:
                # Its own session: an interrupt is ours, which then stops it in order.
                # Its stdin is the lifeline: only this process holds the other end.
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log,
                                                 start_new_session=True)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.stop = weakref.finalize(self, _stop, self._process, self.socket, os.getpid())
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the daemon runs no more."""
        return self.status is not None

    @property
    def status(self) -> Optional[int]:
        """What it has ended with, as subprocess says it; None: it runs. Popen.poll would hold a lock for which stop waits,
        which a signal's handler may call here."""
        if self._process.returncode is not None:
            return self._process.returncode
        try:
            ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return self._process.returncode or 0  # another thread has just waited for it, or this is no child of this process
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        reason = ""
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise CPULoadBalancerError(f"cpulbd ended with status {self._process.returncode} before it was "
                                           f"ready:\n{self._last_lines()}", "start_failed")
            try:
                call(self.socket, "GET", "/readyz", _START_SECONDS)
                return
            except CPULoadBalancerError as error:
                reason = str(error)
            time.sleep(_POLL_SECONDS)  # the socket's appearance raises no event
        raise CPULoadBalancerError(f"cpulbd was not ready within {_START_SECONDS} seconds: {reason}\n"
                                   f"{self._last_lines()}", "start_failed")

    def _last_lines(self) -> str:
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-_LAST_LINES:]).rstrip()


def _make_folder() -> str:
    """Return a new folder of this user alone, with a path in which there is room for sockets."""
    place = tempfile.gettempdir()
    if len(os.fsencode(os.path.join(place, "cpulb-........", "s"))) <= _MOST_SOCKET_BYTES:
        return tempfile.mkdtemp(prefix="cpulb-", dir=place)
    try:
        if not _is_safe(os.stat(_SHORT_FOLDER)):
            raise PermissionError("others could replace what is in it")
        return tempfile.mkdtemp(prefix="cpulb-", dir=_SHORT_FOLDER)
    except OSError as error:
        raise CPULoadBalancerError(f"the folder for temporary files, {place}, has too long a path for the sockets of a private daemon, and "
                                   f"{_SHORT_FOLDER} can't be used in its place ({error}): set TMPDIR to a folder of yours whose path has at "
                                   f"most {_MOST_SOCKET_BYTES - len('/cpulb-......../s')} bytes", "start_failed") from error


def _is_safe(folder: os.stat_result) -> bool:
    """Return whether nobody but root and this user can rename or remove what this user makes in folder."""
    return folder.st_uid in (0, os.geteuid()) and (not folder.st_mode & 0o022 or bool(folder.st_mode & stat.S_ISVTX))


def _find(bin_dir: Place) -> str:
    """Return the path of cpulbd. Only the first place that is named is looked at."""
    folder = bin_dir or os.environ.get("CPULB_BIN")
    program = shutil.which("cpulbd", path=os.path.abspath(folder) if folder else None)
    if program is None:
        raise CPULoadBalancerError(f"no program cpulbd in {folder or 'PATH'}; build it with make build, or say "
                                   "where it is by bin_dir or CPULB_BIN", "no_program")
    return program


def _stop(process: subprocess.Popen[bytes], socket: str, owner: int) -> None:
    if os.getpid() != owner:
        return  # a forked child that ends; the daemon is its parent's
    process.terminate()
    try:
        if not _ends(process, _USUAL_SECONDS) and (_hangs(socket) or not _ends(process, _STOP_SECONDS)):
            process.kill()  # its workers see its end and end too
            process.wait()
    except BaseException:  # an interrupt: else it would write to its folder behind our back
        process.kill()
        process.wait()
        raise
    finally:
        assert process.stdin is not None
        process.stdin.close()
        shutil.rmtree(os.path.dirname(socket), ignore_errors=True)


def _ends(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _hangs(socket: str) -> bool:
    """Return whether the daemon answers nothing: one that only waits for its tasks does answer."""
    try:
        call(socket, "GET", "/healthz", _ANSWER_SECONDS, late=ResultTimeoutError)
    except ResultTimeoutError:
        return True
    except CPULoadBalancerError:
        pass  # its socket has gone, and it ends
    return False
