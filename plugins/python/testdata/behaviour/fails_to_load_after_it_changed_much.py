# {"pools": "exclusive shared", "times": 2, "want": {"error": "ImportError", "message_has": "not here"}}
"""And one that fails while it is loaded."""

import builtins
import os
import sys

builtins.half_loaded = True
sys.path.insert(0, "/half/loaded")
os.environ["BEHAVIOUR_HALF"] = "loaded"
raise ImportError("not here")


def main(params, context):
    pass
