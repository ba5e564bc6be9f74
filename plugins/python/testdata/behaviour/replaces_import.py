# {"pools": "exclusive shared", "times": 2, "want": {"data": ["string"]}, "changes": "import_function builtins"}
"""builtins.__import__ is the original one for each task."""

import builtins


def main(params, context):
    original, seen = builtins.__import__, []
    builtins.__import__ = lambda name, *more: (seen.append(name), original(name, *more))[1]
    import string  # noqa: F401
    return seen
