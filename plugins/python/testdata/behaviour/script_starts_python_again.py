# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "again ['x']\n", "exit": 5}}
"""sys.executable is a Python that can run the script again, with its output where the script's is."""

import subprocess
import sys

if sys.argv[1:]:
    print("again", sys.argv[1:])
    sys.exit(5)
sys.exit(subprocess.run([sys.executable, sys.argv[0], "x"]).returncode)
