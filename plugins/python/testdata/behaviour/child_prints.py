# {"pools": "exclusive", "times": 2, "want": {"data": [0, 0], "stdout": "before\nof a child\nto a stream\n", "stderr": "of a child, too\n"}}
"""What a child inherits as 1 and 2 is the task's output; a stream can be passed on, too."""

import subprocess
import sys


def main(params, context):
    print("before", flush=True)
    one = subprocess.run("echo of a child; echo of a child, too >&2", shell=True)
    two = subprocess.run(["echo", "to a stream"], stdout=sys.stdout)
    return [one.returncode, two.returncode]
