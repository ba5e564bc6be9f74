"""JSON of values that nest as deep as the daemon takes them: 1000. json counts each level against Python's
recursion limit, most of which the caller may have used."""

import json
import sys
import threading

_MORE = 3000
_raised = threading.Lock()
# json.dumps makes an encoder for each call, and looks for circles.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_scan = json.JSONDecoder().raw_decode


def loads(text):
    """json.loads."""
    try:
        return json.loads(text)
    except RecursionError:
        return _deeper(json.loads, text)


def scan(text, start):
    """Return the value that is in text from start on, and where it ends."""
    try:
        return _scan(text, start)
    except RecursionError:
        return _deeper(_scan, text, start)


def dumps(value):
    """json.dumps on one line, of what JSON can hold."""
    try:
        return _encode(value)
    except RecursionError:
        return _deeper(_careful, value)


def _careful(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _deeper(call, *arguments):
    # The limit is the process's. It is higher for the time of the call, which harms nobody.
    with _raised:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + _MORE)
        try:
            return call(*arguments)
        finally:
            sys.setrecursionlimit(limit)
