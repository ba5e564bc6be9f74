# {"pools": "exclusive shared", "times": 2, "want": {"data": [false, true]}, "changes": "builtins"}
"""A builtin that is replaced or added is gone for the next task."""

import builtins


def main(params, context):
    found = hasattr(builtins, "shout")
    builtins.shout = str.upper
    builtins.sorted = list
    return [found, sorted([2, 1]) == [2, 1] and shout("a") == "A"]  # noqa: F821
