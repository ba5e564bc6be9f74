"""How a failure looks to the one who wrote the script."""

import re

from cpulb.held import _embedpy, os, traceback


MESSAGE_BYTES = 16 << 10
TRACEBACK_BYTES = 64 << 10
OWN_FILES = ("<cpulb>/", "<frozen importlib")
STDLIB = os.path.dirname(os.__file__) + os.sep

_private = re.compile(r"\b_cpulb_[0-9a-f]{8}_")  # see siblings.py


def describe(exc, whole=False):
    """Return message and traceback of exc, the latter from the script's first frame, or whole."""
    try:
        message = str(exc)
    except BaseException as error:
        message = "the exception can't be shown: its __str__ raised %s" % type(error).__name__
    try:
        shown = traceback.TracebackException(type(exc), exc, exc.__traceback__)
        if not whole:
            _strip(shown)
            _start_in_script(shown)
        trace = "".join(shown.format())
    except Exception as error:
        trace = "the traceback can't be shown: %s" % type(error).__name__
    return clean(message, MESSAGE_BYTES), clean(trace, TRACEBACK_BYTES)


def _strip(shown):
    """Remove the runtime's own frames from an exception and all those it came from."""
    left, seen = [shown], set()
    while left:
        shown = left.pop()
        if shown is None or id(shown) in seen:
            continue
        seen.add(id(shown))
        if shown.stack is not None:
            kept = [f for f in shown.stack if not f.filename.startswith(OWN_FILES)]
            shown.stack = traceback.StackSummary.from_list(kept) if kept else None
        left += [shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())]


def _start_in_script(shown):
    """Drop the library's frames above the script's first: asyncio's, when it runs a coroutine."""
    frames = list(shown.stack or ())
    for i, frame in enumerate(frames):
        if not frame.filename.startswith(STDLIB) or "-packages" in frame.filename:
            shown.stack = traceback.StackSummary.from_list(frames[i:])
            return


def clean(text, limit):
    """Text that has UTF-8, of which there are at most limit bytes or so, without what private names of modules begin with."""
    data = _private.sub("", text).encode("utf-8", "backslashreplace")
    if len(data) > limit:
        half = limit // 2
        return data[:half].decode("utf-8", "ignore") + "\n… cut …\n" + data[-half:].decode("utf-8", "ignore")
    return data.decode()


def log_bytes(data):
    """Write to the daemon's log."""
    try:
        os.write(_embedpy.log_descriptor(), data)
    except OSError:
        pass  # nobody reads it any more


SPENT = 20  # kind of an event: see spend


def spend(message):
    """Say, in the log and to the host, that the worker is not to have another task."""
    log(message)
    _embedpy.post(0, 0, SPENT, 0.0, b"")


def log(message):
    log_bytes(("cpulb: %s\n" % message).encode("utf-8", "backslashreplace"))
