"""What every thread of the worker is doing."""

import faulthandler
import sys

from cpulb.held import _embedpy, threading, traceback
from cpulb.report import clean

STACKS_BYTES = 1 << 20

workplaces = {}  # thread ident -> the Slot or Loop that has the thread


def beat(stall_seconds):
    """Show that the GIL can be had. Unless there is another beat within
    stall_seconds, the stacks of all threads are written to the log; no GIL is
    needed for that. 0: never."""
    if stall_seconds:
        faulthandler.dump_traceback_later(stall_seconds, file=_embedpy.log_descriptor())
    return ()


def all_stacks():
    """The stacks of all threads but the caller's, and of the coroutines on the loop, as text."""
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    text, idle = [], []
    for ident, place in sorted(workplaces.items(), key=lambda item: item[1].index):
        frame = frames.pop(ident, None)
        if frame is None:  # it is not in Python
            idle.append(str(place.index))
            continue
        text.append("%s\n" % place.title())
        text.extend(described(frame))
        text.extend(place.coroutines())
    for ident, frame in frames.items():
        text.append("thread %s\n" % names.get(ident, ident))
        text.extend(described(frame))
    if idle:
        text.append("idle slots: %s\n" % ", ".join(idle))
    return (clean("".join(text), STACKS_BYTES),)


def described(frame):
    return traceback.format_list(traceback.extract_stack(frame))
