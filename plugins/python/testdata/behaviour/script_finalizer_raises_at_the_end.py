# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "body\n", "stderr_has": "ZeroDivisionError: division by zero\n"}}
"""What a finalizer raises at the end is told on stderr, and the exit code stays 0."""

import weakref


class Thing:
    pass


thing = Thing()
weakref.finalize(thing, lambda: 1 / 0)
print("body")
