# {"pools": "exclusive shared", "want": {"data": [["tool", "-n", "3"], true]}}
"""Programs that read sys.argv are called with another one."""

import sys
from unittest import mock


def main(params, context):
    before = sys.argv
    with mock.patch.object(sys, "argv", ["tool", "-n", "3"]):
        during = list(sys.argv)
    return [during, sys.argv is before]
