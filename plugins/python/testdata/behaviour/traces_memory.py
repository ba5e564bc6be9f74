# {"pools": "exclusive shared", "times": 2, "want": {"data": [false, true]}, "changes": "tracemalloc"}
"""tracemalloc slows everybody down: it ends with the task that began it."""

import tracemalloc


def main(params, context):
    found = tracemalloc.is_tracing()
    tracemalloc.start()
    block = [bytes(1000) for _ in range(1000)]
    return [found, tracemalloc.get_traced_memory()[0] > len(block) * 1000]
