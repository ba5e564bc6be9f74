"""Which task the calling code belongs to, where several share a process."""

import threading
import weakref
from codecs import getincrementaldecoder

from cpulb.held import contextvars

DECODER = getincrementaldecoder("utf-8")

# The context of the task: set for its slot's thread and, on a loop, for its coroutine,
# whence asyncio passes it on to whatever is started there.
running = contextvars.ContextVar("cpulb_task", default=None)
starters = weakref.WeakKeyDictionary()  # thread -> the context of the task that has started it


def owner():
    """The context of the task that runs and that the caller belongs to, or None."""
    context = running.get()
    if context is None:
        thread = threading._active.get(threading.get_ident())
        context = None if thread is None else starters.get(thread)
    return None if context is None or context._ended else context


def note_starters():
    """Threads that a task starts belong to it; Python passes no context on to them."""
    start = threading.Thread.start

    def start_of_task(thread):
        context = owner()
        if context is not None:
            starters[thread] = context
        start(thread)

    threading.Thread.start = start_of_task


class Sink:
    """The output of one task on one stream, bounded in bytes.

    It takes no lock: an interrupt may strike between any two instructions, and a lock
    left held would block every later writer. list.append is atomic; two threads that
    pass the bound at the same moment may both be kept, and take() cuts.
    """

    __slots__ = ("limit", "size", "chunks", "truncated", "shown")

    def __init__(self, limit):
        self.limit = limit
        self.size = 0
        self.chunks = []
        self.truncated = False
        self.shown = None  # what has been shown of it

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
        # Of a character that the bound has cut the half is dropped.
        text = (DECODER("replace").decode(data) if self.truncated else data.decode("utf-8", "replace")).encode("utf-8")
        if len(text) > self.limit:
            self.truncated = True
            text = text[:self.limit].decode("utf-8", "ignore").encode("utf-8")
        return text

    def fresh(self):
        """The text of what has come since the last call; all together are how take()'s begins. For one thread at a time."""
        if self.shown is None:
            self.shown = Shown(self.limit)
        return self.shown.next(self.chunks)


class Shown:
    """How far a Sink has been shown."""

    __slots__ = ("chunks", "decoder", "room")

    def __init__(self, room):
        self.chunks = 0
        self.decoder = DECODER("replace")  # a character of which only a part has come waits there
        self.room = room

    def next(self, chunks):
        chunks = chunks[self.chunks:]
        self.chunks += len(chunks)
        text = self.decoder.decode(b"".join(chunks))
        data = text.encode("utf-8")
        if len(data) > self.room:
            text, self.room = data[:self.room].decode("utf-8", "ignore"), 0
        else:
            self.room -= len(data)
        return text
