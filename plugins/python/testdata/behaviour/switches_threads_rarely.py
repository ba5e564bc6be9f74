# {"pools": "exclusive shared", "times": 2, "want": {"data": [0.005, 0.25]}, "changes": "switch_interval"}
"""sys.setswitchinterval holds for one task."""

import sys


def main(params, context):
    found = sys.getswitchinterval()
    sys.setswitchinterval(0.25)
    return [found, sys.getswitchinterval()]
