"""JSON of values that nest as deep as the daemon takes them: 1000. json counts each level against Python's
recursion limit, most of which the caller may have used."""

import json
import sys
import threading

_MORE = 3000
_raised = threading.Lock()


def loads(text):
    """json.loads."""
    try:
        return json.loads(text)
    except RecursionError:
        return _deeper(json.loads, text)


def dumps(value):
    """json.dumps on one line, of what JSON can hold."""
    try:
        return _compact(value)
    except RecursionError:
        return _deeper(_compact, value)


def _compact(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _deeper(call, argument):
    # The limit is the process's. It is higher for the time of the call, which harms nobody.
    with _raised:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + _MORE)
        try:
            return call(argument)
        finally:
            sys.setrecursionlimit(limit)
