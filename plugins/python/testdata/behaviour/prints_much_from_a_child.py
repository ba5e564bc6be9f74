# {"pools": "exclusive", "times": 2, "want": {"data": 0, "stdout_has": "1\n2\n3\n"}}
"""A child that prints more than a pipe holds ends, too."""

import subprocess


def main(params, context):
    return subprocess.run(["seq", "1", "100000"]).returncode
