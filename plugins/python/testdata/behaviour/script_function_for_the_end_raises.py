# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "body\ncalled first\ncalled last\n", "stderr_has": "ValueError: at the end\n"}}
"""What a function for the end raises is told on stderr; the others are called all the same, and the exit code stays 0."""

import atexit


def fails():
    raise ValueError("at the end")


atexit.register(print, "called last")
atexit.register(fails)
atexit.register(print, "called first")
print("body")
