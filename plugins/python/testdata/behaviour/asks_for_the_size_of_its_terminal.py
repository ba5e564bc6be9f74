# {"pools": "exclusive", "times": 2, "want": {"data": ["ENOTTY", [0, 1, 2], ["r", "w", "w"]]}}
"""The streams have the descriptors that they have under python3, and these are no terminals."""

import errno
import os
import sys


def main(params, context):
    streams = [sys.stdin, sys.stdout, sys.stderr]
    try:
        os.get_terminal_size(sys.stdout.fileno())
    except OSError as error:
        return [errno.errorcode[error.errno], [s.fileno() for s in streams], [s.mode for s in streams]]
