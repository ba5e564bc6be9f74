# {"pools": "exclusive shared", "times": 2, "want": {"data": "/usr\n"}, "changes": "folder"}
"""A child begins where the task is by then."""

import os
import subprocess


def main(params, context):
    os.chdir("/usr")
    return subprocess.run(["pwd"], capture_output=True, text=True).stdout
