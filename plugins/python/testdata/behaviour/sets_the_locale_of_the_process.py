# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, true]}, "changes": "locale"}
"""locale.setlocale works, and holds for one task."""

import locale


def main(params, context):
    found = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    return ["UTF-8" in found, locale.setlocale(locale.LC_ALL) == "C"]
