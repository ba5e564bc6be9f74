# {"pools": "exclusive", "times": 2, "want": {"stdout_has": "by puts\n"}}
"""What C code prints is the task's output."""

import ctypes

libc = ctypes.CDLL(None)


def main(params, context):
    libc.puts(b"by puts")
    libc.fflush(None)
