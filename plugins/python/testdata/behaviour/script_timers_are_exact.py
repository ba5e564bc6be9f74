# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "50000\n50000\n"}}
"""The kernel's timers are as exact as they are anywhere, in a plain script and in its child."""

import ctypes
import os
import subprocess
import sys

print(ctypes.CDLL(None).prctl(30), flush=True)
if "CHILD" not in os.environ:
    subprocess.run([sys.executable, __file__], env={**os.environ, "CHILD": "1"})
