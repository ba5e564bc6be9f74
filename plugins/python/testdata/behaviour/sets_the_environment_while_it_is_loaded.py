# {"pools": "exclusive", "times": 2, "want": {"data": ["seen", "seen by a child", "seen"]}, "changes": "environ"}
"""What a script sets at its top is there on the next line, for a child, and at each later run; for nobody else."""

import os
import subprocess

os.environ["BEHAVIOUR_TOP"] = "seen"
AT_THE_TOP = os.environ["BEHAVIOUR_TOP"]
CHILD = subprocess.run(["sh", "-c", "echo $BEHAVIOUR_TOP by a child"], capture_output=True, text=True).stdout.strip()


def main(params, context):
    return [AT_THE_TOP, CHILD, os.environ.get("BEHAVIOUR_TOP")]
