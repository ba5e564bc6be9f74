# {"pools": "exclusive", "times": 2, "want": {"data": ["in lib", true]}, "changes": "path"}
"""The first lines of many scripts: a folder lib beside them comes first. It does so at each run, for them alone."""

import os
import sys

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib")
sys.path.insert(0, LIB)
import something_in_lib  # noqa: E402


def main(params, context):
    return [something_in_lib.WHERE, sys.path[0] == LIB]
