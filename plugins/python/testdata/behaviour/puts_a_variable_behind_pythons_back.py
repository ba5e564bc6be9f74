# {"pools": "exclusive shared", "times": 2, "want": {"data": [null, "there\n"]}, "changes": "environ_of_c"}
"""os.putenv does not reach os.environ, but children; it holds for one task."""

import ctypes
import os
import subprocess

getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p


def main(params, context):
    found = getenv(b"BEHAVIOUR")
    os.putenv("BEHAVIOUR", "there")
    child = subprocess.run(["sh", "-c", "echo $BEHAVIOUR"], capture_output=True, text=True).stdout
    return [found and found.decode(), child]
