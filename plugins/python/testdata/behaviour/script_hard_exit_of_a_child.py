# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "-9 1\n"}}
"""How children end is told by their exit codes: killed by a signal, or with 1 for an exception."""

import subprocess
import sys

killed = subprocess.run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
failed = subprocess.run([sys.executable, "-c", "raise ValueError"], stderr=subprocess.DEVNULL)
print(killed.returncode, failed.returncode)
