# {"pools": "exclusive shared", "python": "no", "steps": [{"want": {"data": 1}}, {"script": "look.py", "want": {"data": [[""], null, true]}}]}
"""What a script leaves raises when it is compared, and when it is flushed; it goes all the same."""

import gc
import os
import sys


class Raises:
    def __eq__(self, other):
        raise ValueError("not comparable")

    def write(self, text):
        pass

    def flush(self):
        sys.exit(2)


def main(params, context):
    os.environ["LEFT_BEHIND"] = "1"
    gc.disable()
    sys.argv = [Raises()]
    sys.stdout = Raises()
    return 1
