"""The standard streams.

In an exclusive worker they are what CPython makes of descriptors 0 to 2, which lead
to the running task. In a shared one they are text streams over a buffer that finds
the task by who writes. Either way a stream that a script has closed, taken apart,
wrapped or replaced is made anew for others: whoever holds the old one keeps it.
"""

import io
import sys
import weakref
from functools import partial
from operator import attrgetter

from cpulb.held import threading
from cpulb.owner import owner
from cpulb.report import log_bytes
from cpulb.state import Entry

OURS = type("OURS", (), {"__repr__": lambda self: "the worker's own"})()  # stands for whichever stream is ours just now
CLOSED = attrgetter("closed")
TEXT = io.TextIOWrapper
NAMES = ("stdin", "stdout", "stderr")
SETTINGS = attrgetter("encoding", "errors", "line_buffering", "write_through")


class Stream(Entry):
    """One standard stream, as sys.NAME and sys.__NAME__."""

    def __init__(self, name, make):
        super().__init__("sys." + name, self.get, self.put)
        self.stream = name
        self.make = make
        self.ours = self.buffer = None
        self.older = []  # weak references to those that were ours
        self.renew()

    def renew(self):
        if self.ours is not None:
            self.flush()
            self.older = [ref for ref in self.older if ref() is not None] + [weakref.ref(self.ours)]
        self.ours = self.make(self.stream)
        self.buffer = self.ours.buffer  # a script can take it out of ours, and leave text in it
        self.how = SETTINGS(self.ours)
        setattr(sys, self.stream, self.ours)
        setattr(sys, "__%s__" % self.stream, self.ours)

    def get(self):
        found = getattr(sys, self.stream, None)
        if found is not self.ours:
            return found
        try:
            if not found.closed and SETTINGS(found) == self.how and getattr(sys, "__%s__" % self.stream, None) is found:
                return OURS
        except ValueError:  # it has been detached
            pass
        return None

    def same(self, one, other):
        return one is other

    def put(self, value):
        replaced = getattr(sys, self.stream, None)
        if replaced is not self.ours:
            flush(replaced)
        if value is OURS or getattr(value, "closed", True):
            self.renew()
        else:
            setattr(sys, self.stream, value)

    def flush_replaced(self):
        """A stream in place of ours may hold text of the task that ends."""
        found = getattr(sys, self.stream, None)
        if found is not self.ours:
            flush(found)

    def show(self):
        """Flush what the script prints to, on another thread than its own: nothing of which a script decides what that does."""
        if self.stream != "stdin":
            for stream in (self.ours, getattr(sys, self.stream, None)):
                try:
                    known = type(stream) is TEXT and stream.buffer is self.buffer
                except ValueError:  # it has been detached
                    continue
                if known:
                    flush(stream)

    def finish(self):
        flush(getattr(sys, self.stream, None))
        if self.stream != "stdin" and not flush(self.ours) and not flush(self.buffer):
            self.discard()
        self.flush()

    def discard(self):
        """What can't be written is not to be written into the next task's output."""
        old, self.ours = self.buffer, None
        try:
            old.raw.close()
        except Exception:  # it has been taken apart
            pass
        self.renew()

    def flush(self):
        for stream in (self.ours, *(ref() for ref in self.older), self.buffer):
            flush(stream)

    def merge(self, value, before, after):
        """A stream that a library puts in place while it is imported is not everybody's."""
        return value

    def watched(self, value, dicts, lists, getters):
        written = (value, self.ours, *(ref() for ref in self.older)) if self.stream != "stdin" else ()
        for stream in written:
            if hasattr(stream, "flush"):
                getters.append((stream.flush, None))
        if value is OURS:
            getters.append((partial(SETTINGS, self.ours), self.how) if written else (partial(CLOSED, self.ours), False))


def flush(stream):
    """As at the end of a process: what can't be flushed is lost, whatever it raises. Whether it could."""
    try:
        stream.flush()
    except BaseException:
        return False
    return True


def of_descriptor(name, late=None):
    """A stream as CPython makes it at its start; with late, threads, it is unbuffered and not theirs."""
    number = NAMES.index(name)
    mode = "r" if number == 0 else "w"
    raw = io.FileIO(number, mode + "b", closefd=False) if late is None else Late(number, late)
    raw.name = "<%s>" % name
    buffer = raw if late is not None else io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(buffer, "utf-8", "backslashreplace" if number == 2 else "surrogateescape", "\n",
                              line_buffering=number == 2, write_through=late is not None)
    stream.mode = mode
    return stream


def of_task(name):
    """A stream of whichever task uses it, unbuffered as those of `python -u`."""
    raw = Nothing() if name == "stdin" else TaskOutput(name)
    stream = io.TextIOWrapper(raw, "utf-8", "backslashreplace", "\n", write_through=name != "stdin")
    stream.mode = "r" if name == "stdin" else "w"
    return stream


class Shared(io.RawIOBase):
    """Belongs to every task, so none can close it."""

    raw = property(lambda self: self)

    def __init__(self, name):
        self.name = "<%s>" % name
        self.number = NAMES.index(name)
        self.mode = "rb" if self.number == 0 else "wb"

    def fileno(self):
        return self.number

    def close(self):
        """Without effect."""


class Late(io.FileIO):
    """A descriptor of the running task, while threads of tasks before it live on: what they print goes to the log."""

    raw = property(lambda self: self)

    def __init__(self, number, late):
        super().__init__(number, "wb", closefd=False)
        self.late = late

    def write(self, data):
        if threading._active.get(threading.get_ident()) in self.late:
            data = bytes(data)
            log_bytes(data)
            return len(data)
        return super().write(data)


class Nothing(Shared):
    """An empty input."""

    def __init__(self):
        super().__init__("stdin")

    def readable(self):
        return True

    def readinto(self, buffer):
        return 0


class TaskOutput(Shared):
    """Output of the task that writes; of whom there is no task, of the log."""

    def __init__(self, name):
        super().__init__(name)
        self.stream = name

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        context = owner()
        if context is not None:
            context._sink(self.stream).write(data)
        else:
            log_bytes(data)
        return len(data)


def part_from(late, entries):
    """Make the streams of an exclusive worker anew, so that these threads do not write into a task's output."""
    for entry in entries:
        if entry.stream != "stdin":
            entry.make = partial(of_descriptor, late=late) if late else of_descriptor
            entry.renew()


def entries(make):
    return [Stream(name, make) for name in NAMES]
