# {"pools": "exclusive shared", "times": 2, "want": {"data": [28, "0.3333"]}, "changes": "decimal"}
"""decimal.getcontext() is a new one for each task."""

import decimal


def main(params, context):
    found = decimal.getcontext().prec
    decimal.getcontext().prec = 4
    return [found, str(decimal.Decimal(1) / 3)]
