# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, {"ONLY": "this"}, "this\n"]}, "changes": "environ"}
"""os.environ can be emptied, and even be another mapping; the next task has all of it."""

import os
import subprocess


def main(params, context):
    found = "PATH" in os.environ and "ONLY" not in os.environ
    os.environ.clear()
    os.environ["ONLY"] = "this"
    child = subprocess.run(["/bin/sh", "-c", "echo $ONLY"], capture_output=True, text=True).stdout
    mine = dict(os.environ)
    os.environ = {"NOT": "even a real one"}
    return [found, mine, child]
