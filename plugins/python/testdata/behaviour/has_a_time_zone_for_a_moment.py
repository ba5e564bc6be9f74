# {"pools": "exclusive", "times": 2, "want": {"data": [true, 7]}, "changes": "environ"}
"""TZ is set for a moment, in which C looks at it, and taken back: the next task has the zone that the process had."""

import os
import time
from unittest import mock


def main(params, context):
    before = time.localtime(0).tm_zone
    with mock.patch.dict(os.environ, TZ="FAR+7"):
        far = time.mktime((1970, 1, 1, 0, 0, 0, 0, 0, -1)) / 3600
    return [before != "FAR", far]
