# {"pools": "exclusive shared", "times": 2, "want": {"data": [28, 28, 5]}, "changes": "decimal_default"}
"""decimal.DefaultContext is what new threads begin with; a change of it holds for one task."""

import decimal
import threading


def main(params, context):
    found = [decimal.getcontext().prec, decimal.DefaultContext.prec]
    decimal.DefaultContext.prec = 5
    thread = threading.Thread(target=lambda: found.append(decimal.getcontext().prec))
    thread.start()
    thread.join()
    return found
