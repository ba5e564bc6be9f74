# {"pools": "exclusive shared", "times": 2, "want": {"data": ["patched", null, "patched\n"]}}
"""unittest.mock.patch.dict on os.environ."""

import os
import subprocess
from unittest import mock


def main(params, context):
    with mock.patch.dict(os.environ, {"BEHAVIOUR_PATCHED": "patched"}):
        inside = os.environ.get("BEHAVIOUR_PATCHED")
        child = subprocess.run("echo $BEHAVIOUR_PATCHED", shell=True, capture_output=True, text=True).stdout
    return [inside, os.environ.get("BEHAVIOUR_PATCHED"), child]
