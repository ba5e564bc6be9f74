# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, true, true, true, true]}, "changes": "excepthook displayhook unraisablehook breakpointhook threading_excepthook"}
"""All hooks of sys and threading are the original ones for each task."""

import sys
import threading


def main(params, context):
    found = [getattr(sys, name) is getattr(sys, "__%s__" % name) for name in ("excepthook", "displayhook", "unraisablehook", "breakpointhook")]
    found.append(threading.excepthook is threading.__excepthook__)
    sys.excepthook = sys.displayhook = sys.unraisablehook = sys.breakpointhook = threading.excepthook = print
    return found
