# {"pools": "exclusive shared", "times": 2, "want": {"error": "ValueError", "traceback_has": "in main"}, "changes": "traceback_limit"}
"""sys.tracebacklimit holds for one task, and does not hide what the result says of its failure."""

import sys


def main(params, context):
    assert not hasattr(sys, "tracebacklimit")
    sys.tracebacklimit = 10
    raise ValueError("with a traceback")
