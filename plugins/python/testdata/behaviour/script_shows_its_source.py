# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "def f():\n    return 1\n\n"}}
"""inspect finds the source of what __main__ defines."""

import inspect


def f():
    return 1


print(inspect.getsource(f))
