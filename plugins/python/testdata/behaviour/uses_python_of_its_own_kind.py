# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, "1"]}}
"""sys.executable starts a Python of the same version, in which -c works."""

import subprocess
import sys


def main(params, context):
    child = subprocess.run([sys.executable, "-c", "import sys; print(sys.version); print(len(sys.argv))"], capture_output=True, text=True)
    version, count = child.stdout.rsplit("\n", 2)[:2]
    return [version == sys.version, count]
