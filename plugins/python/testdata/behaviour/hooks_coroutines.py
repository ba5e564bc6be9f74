# {"pools": "exclusive shared", "times": 2, "want": {"data": [0, null]}, "changes": "coroutine_hooks"}
"""Hooks for coroutines and async generators hold for one task."""

import sys


def main(params, context):
    found = [sys.get_coroutine_origin_tracking_depth(), sys.get_asyncgen_hooks().firstiter]
    sys.set_coroutine_origin_tracking_depth(3)
    sys.set_asyncgen_hooks(firstiter=print)
    return found
