# {"pools": "exclusive shared", "times": 2, "want": {"data": ["C", "C.UTF-8"]}, "changes": "locale"}
"""locale.setlocale works, and holds for one task."""

import locale


def main(params, context):
    found = locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    return [found, locale.setlocale(locale.LC_NUMERIC)]
