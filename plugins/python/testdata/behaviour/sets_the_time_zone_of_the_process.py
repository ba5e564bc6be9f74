# {"pools": "exclusive shared", "times": 2, "want": {"data": ["UTC", "JST", "09:00"]}, "changes": "time_zone environ environ_of_c"}
"""TZ and time.tzset hold for one task."""

import os
import time


def main(params, context):
    found = time.strftime("%Z", time.localtime(0))
    os.environ["TZ"] = "JST-9"
    time.tzset()
    return [found, *time.strftime("%Z %H:%M", time.localtime(0)).split()]
