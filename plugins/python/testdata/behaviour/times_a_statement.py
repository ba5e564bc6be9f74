# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, true]}}
"""timeit turns the collector off while it measures, and on again."""

import gc
import timeit


def main(params, context):
    found = gc.isenabled()
    seen = []
    timeit.timeit(lambda: seen.append(gc.isenabled()), number=3)
    return [found, seen == [False] * 3 and gc.isenabled()]
