"""What a call raised, as a worker sends it."""

from __future__ import annotations

import pickle
import traceback
from typing import Callable, Tuple

from . import memory

_MOST_WORDS = 16 << 10  # characters of what stands for something that can't be pickled


def raised(error: BaseException, dumps: Callable[..., bytes]) -> Tuple[bytes, int]:
    """Return what memory.encode does for error's pickle, its words, which are there also if that can't be unpickled, and its
    traceback. What can't be pickled is there in words alone."""
    trace = error.__traceback__
    inner = trace.tb_next if trace is not None and trace.tb_next is not None else trace  # without the worker's own lines
    shown = "".join(traceback.format_exception(type(error), error, inner))
    error.__traceback__ = None
    words = "%s: %s" % (type(error).__name__, _words(error))
    try:
        return memory.encode((dumps(error, protocol=5), words, shown))
    except Exception as other:
        stands = pickle.PicklingError("%s (which can't be pickled: %s)" % (words, _words(other)))
        return pickle.dumps((pickle.dumps(stands, 5), words, shown[-_MOST_WORDS:]), 5), -1


def _words(error: BaseException) -> str:
    try:
        return str(error)[:_MOST_WORDS]
    except Exception:
        return "<its __str__ failed>"


def failure() -> bytes:
    """Return the traceback of the exception that is being handled: its end, as much as needs no memory of its own."""
    return traceback.format_exc().encode("utf-8", "backslashreplace")[-memory.LARGE_BYTES + 1:]
