# {"pools": "exclusive shared", "times": 2, "want": {"data": [["one", "two"], "wrapped"]}, "python": "once"}
"""functools: a decorated main, and a cache that lives as long as the script is loaded."""

import functools

calls = []


@functools.lru_cache
def remembered(key):
    calls.append(key)
    return key


def wrap(function):
    @functools.wraps(function)
    def wrapped(params, context):
        return [function(params, context), "wrapped"]
    return wrapped


@wrap
def main(params, context):
    for key in ("one", "two", "one"):
        remembered(key)
    return list(calls)
