# {"pools": "exclusive", "times": 2, "want": {"data": 3, "stdout": "by a shell\n"}}
"""os.system."""

import os


def main(params, context):
    return os.waitstatus_to_exitcode(os.system("echo by a shell; exit 3"))
