# {"pools": "exclusive shared", "times": 2, "want": {"data": ["ZeroDivisionError"], "stderr_has": "ZeroDivisionError: division by zero"}}
"""What a __del__ raises is shown on the task's stderr; a hook for it gets it."""

import sys


class Fails:
    def __del__(self):
        1 / 0


def main(params, context):
    Fails()
    caught = []
    sys.unraisablehook = lambda about: caught.append(about.exc_type.__name__)
    Fails()
    return caught
