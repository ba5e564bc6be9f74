"""Where calls print: on the stdout and stderr of the Executor's program, which a worker has for a turn only."""

from __future__ import annotations

import io
import os
import sys
from threading import Lock
from typing import Any, List, Optional

_NAMES = ("<stdout>", "<stderr>")


class _Descriptor(io.RawIOBase):
    """A descriptor that comes and goes below a stream that stays: a logger may have been given that. What is printed while
    there is none is lost. The lock keeps a thread that a call has left behind from writing into another file of the number."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._descriptor = -1
        self._writing = Lock()

    def lead_to(self, descriptor: int) -> None:
        """Write there, which is this object's to close; -1: nowhere."""
        with self._writing:
            before, self._descriptor = self._descriptor, descriptor
            if before >= 0:
                os.close(before)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._descriptor < 0:
            raise io.UnsupportedOperation(f"{self.name} has a descriptor while a worker takes calls")
        return self._descriptor

    def isatty(self) -> bool:
        return self._descriptor >= 0 and os.isatty(self._descriptor)

    def write(self, data: Any) -> Optional[int]:
        with self._writing:
            if self._descriptor < 0:
                return memoryview(data).nbytes
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                return None

    def close(self) -> None:
        self.lead_to(-1)
        super().close()


class Output:
    """The streams in place of sys.stdout and sys.stderr."""

    def __init__(self, alone: bool) -> None:
        """alone: this process runs nothing but the program's calls, and its descriptors 1 and 2 lead there as well, for what
        C code and started programs print. In one that others have after it their output would end up in the program's."""
        self._own = [(number, os.dup(number)) for number in (1, 2)] if alone else []
        self._descriptors: List[_Descriptor] = []
        self._streams: List[io.TextIOWrapper] = []

    def begin(self, descriptors: List[int]) -> None:
        """Lead to these for a turn."""
        if not self._streams or not all(map(_is_open, self._streams)):  # a call may close what it finds
            self._descriptors = [_Descriptor(name) for name in _NAMES]
            self._streams = [io.TextIOWrapper(io.BufferedWriter(each), "utf-8", "backslashreplace") for each in self._descriptors]
        for place, descriptor, stream in zip(self._descriptors, descriptors, self._streams):
            place.lead_to(descriptor)
            stream.reconfigure(line_buffering=place.isatty())
        for (number, _), descriptor in zip(self._own, descriptors):
            os.dup2(descriptor, number)
        sys.stdout, sys.stderr = self._streams

    def flush(self) -> None:
        for stream in self._streams:
            try:
                stream.flush()
            except (OSError, ValueError):
                pass  # nobody reads it any more, or a call has closed it

    def end(self) -> None:
        """Let go of the program's descriptors: it may be gone, and who reads what it prints waits for the end."""
        for place in self._descriptors:
            place.lead_to(-1)
        for number, before in self._own:
            os.dup2(before, number)


def _is_open(stream: Any) -> bool:
    try:
        return not stream.closed
    except ValueError:  # it has been detached
        return False
