# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "print\nwrite\nbytes\ndescriptor\nchild\nC\n", "stderr": "error\n"}}
"""Whatever a script prints is its output, in order, when it flushes."""

import ctypes
import os
import subprocess
import sys

print("print")
sys.stdout.write("write\n")
sys.stdout.flush()
sys.stdout.buffer.write(b"bytes\n")
sys.stdout.flush()
os.write(1, b"descriptor\n")
subprocess.run(["echo", "child"])
ctypes.CDLL(None).puts(b"C")
sys.stderr.write("error\n")
