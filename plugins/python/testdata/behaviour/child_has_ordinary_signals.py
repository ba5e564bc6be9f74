# {"pools": "exclusive shared", "times": 2, "want": {"data": ["0000000000000000", -15]}}
"""A child is not born with signals blocked, and can be ended."""

import subprocess


def main(params, context):
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
    child = subprocess.Popen(["sleep", "600"])
    child.terminate()
    return [status.split("SigBlk:")[1].split()[0], child.wait()]
