# {"pools": "exclusive", "times": 2, "want": {"data": [[true, "1"], [false, null]]}}
"""What a run undoes of what the loading did is there again at the next run."""

import os
import sys

sys.path.append("/nowhere/at/all")
os.environ["BEHAVIOUR_LOADED"] = "1"


def look():
    return ["/nowhere/at/all" in sys.path, os.environ.get("BEHAVIOUR_LOADED")]


def main(params, context):
    found = look()
    sys.path.remove("/nowhere/at/all")
    del os.environ["BEHAVIOUR_LOADED"]
    return [found, look()]
