# {"pools": "exclusive shared", "times": 2, "want": {"data": "utf-8", "stdout": "caf\\xe9\r\n"}, "changes": "stdout"}
"""sys.stdout.reconfigure holds for one task."""

import sys


def main(params, context):
    found = sys.stdout.encoding
    sys.stdout.reconfigure(encoding="ascii", errors="backslashreplace", newline="\r\n", line_buffering=True)
    print("café")
    return found
