# {"pools": "exclusive shared", "times": 2, "want": {"data": "twice\n", "stdout": "twice\n"}}
"""A stream that stands in sys.stdout and passes all on to the original one."""

import io
import sys


class Both(io.StringIO):
    def write(self, text):
        sys.__stdout__.write(text)
        return super().write(text)


def main(params, context):
    sys.stdout = both = Both()
    print("twice")
    return both.getvalue()
