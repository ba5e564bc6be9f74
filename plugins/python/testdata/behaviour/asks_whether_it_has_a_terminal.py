# {"pools": "exclusive shared", "times": 2, "want": {"data": [[false, false, false], [80, 24], false, true]}}
"""What libraries ask to find out whether they may use colours."""

import os
import shutil
import sys


def main(params, context):
    tty = [stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)]
    return [tty, list(shutil.get_terminal_size()), any(os.isatty(fd) for fd in (0, 1, 2)), sys.stdout.writable()]
