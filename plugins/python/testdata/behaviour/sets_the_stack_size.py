# {"pools": "exclusive shared", "times": 2, "want": {"data": [0, 20000]}, "changes": "stack_size recursion_limit"}
"""A large stack and a high recursion limit for deep recursion hold for one task."""

import sys
import threading


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


def main(params, context):
    found = threading.stack_size(256 << 20)
    sys.setrecursionlimit(50_000)
    answer = []
    thread = threading.Thread(target=lambda: answer.append(depth(20_000)))
    thread.start()
    thread.join()
    return [found, *answer]
