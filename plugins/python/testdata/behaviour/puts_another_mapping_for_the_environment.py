# {"pools": "exclusive shared", "times": 2, "want": {"data": true}, "changes": "environ"}
"""os.environ can be another mapping while the environment itself stays; the next task has the real one."""

import os


def main(params, context):
    found = "PATH" in os.environ
    os.environ = {"NOT": "even a real one"}
    return found
