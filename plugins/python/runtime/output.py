"""sys.stdout and sys.stderr of every task, each its own.

One pair of proxies stands in for both streams as long as the process lives, so
whoever keeps a reference to sys.stdout keeps a working one. A proxy finds the
task of the thread that writes; threads that a task starts belong to the task.

A Sink takes no lock: an interrupt may strike between any two instructions, and a
lock left held would block every later writer. list.append is atomic; two threads
that pass the bound at the same moment may both be kept, and take() cuts.
"""

import contextvars
import io
import sys
import threading


class Current(threading.local):
    """What the calling thread is doing."""

    context = None  # the task's, on a slot's thread and on threads that a task starts
    importing = 0   # imports of libraries that it is inside of
    loading = None  # the folder of scripts of which it runs a module's own lines


current = Current()
# The task of a coroutine on an event loop that tasks share; it comes before
# current, and asyncio passes it on to what a coroutine starts.
running = contextvars.ContextVar("running", default=None)


def owner():
    """The context of the task that the calling code belongs to, or None."""
    return running.get() or current.context


class Sink:
    """The output of one task on one stream, bounded in bytes."""

    __slots__ = ("limit", "size", "chunks", "truncated")

    def __init__(self, limit):
        self.limit = limit
        self.size = 0
        self.chunks = []
        self.truncated = False

    def write(self, data):
        room = self.limit - self.size
        if len(data) > room:
            self.truncated = True
            data = data[:max(room, 0)]
        self.size += len(data)
        if data:
            self.chunks.append(data)

    def take(self):
        """All of it as valid UTF-8 within the limit."""
        data = b"".join(self.chunks)
        text = data.decode("utf-8", "replace").encode("utf-8")
        if self.truncated and text != data and data[-1] >= 0x80:
            # The bound fell into a character: drop its half.
            text = data.decode("utf-8", "ignore").encode("utf-8")
        if len(text) > self.limit:
            self.truncated = True
            text = text[:self.limit].decode("utf-8", "ignore").encode("utf-8")
        return text


class _Bytes(io.RawIOBase):
    """The .buffer of a proxy."""

    def __init__(self, stream):
        self._stream = stream

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        self._stream._sink(data)
        return len(data)


class Proxy(io.TextIOBase):
    """A text stream that writes to the stream of that name of the current task."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    line_buffering = True
    mode = "w"
    replaced = None  # tells the stream that the calling task has put in our place

    def __init__(self, name):
        self.name = "<%s>" % name
        self._stream = name
        self.buffer = _Bytes(self)

    def _sink(self, data):
        context = owner()
        if context is not None:
            context._sink(self._stream).write(data)

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        other = self.replaced()
        if other is not self:  # print() comes here all the same
            return other.write(text)
        self._sink(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def reconfigure(self, **options):
        """Accepted and without effect: a task's output is UTF-8."""

    def close(self):
        """Without effect: the stream belongs to every task."""


def _inherit():
    """Make threads started by a task write to that task's output."""
    start, bootstrap = threading.Thread.start, threading.Thread._bootstrap

    def start_of_task(thread):
        thread._cpulb_context = owner()
        start(thread)

    def bootstrap_of_task(thread):
        current.context = thread.__dict__.pop("_cpulb_context", None)
        bootstrap(thread)

    threading.Thread.start = start_of_task
    threading.Thread._bootstrap = bootstrap_of_task


def install():
    sys.stdout = sys.__stdout__ = Proxy("stdout")
    sys.stderr = sys.__stderr__ = Proxy("stderr")
    sys.stdin = sys.__stdin__ = io.StringIO("")
    _inherit()
