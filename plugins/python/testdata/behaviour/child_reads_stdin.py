# {"pools": "exclusive shared", "times": 2, "want": {"data": [0, ""]}}
"""A child has an empty stdin, as the task has."""

import subprocess


def main(params, context):
    ran = subprocess.run(["cat"], stdout=subprocess.PIPE, text=True)
    return [ran.returncode, ran.stdout]
