# {"pools": "exclusive shared", "times": 2, "want": {"data": [null, null, true]}, "changes": "trace thread_hooks"}
"""sys.settrace and threading.settrace hold for one task."""

import sys
import threading

lines = []


def tracer(frame, event, argument):
    lines.append(event)
    return tracer


def work():
    pass


def main(params, context):
    found = [sys.gettrace(), threading.gettrace()]
    sys.settrace(tracer)
    threading.settrace(tracer)
    threading.setprofile(lambda *about: None)
    work()
    return [*found, "call" in lines]
