# {"pools": "exclusive shared", "times": 2, "want": {"data": "TimeoutExpired"}}
"""subprocess.run ends a child that takes too long."""

import subprocess


def main(params, context):
    try:
        subprocess.run(["sleep", "600"], timeout=0.05)
    except subprocess.TimeoutExpired as error:
        return type(error).__name__
