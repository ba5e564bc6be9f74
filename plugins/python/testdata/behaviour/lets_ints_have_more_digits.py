# {"pools": "exclusive shared", "times": 2, "want": {"data": [4300, 5001]}, "changes": "int_digits"}
"""sys.set_int_max_str_digits holds for one task."""

import sys


def main(params, context):
    found = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    return [found, len(str(10 ** 5000))]
