# {"pools": "exclusive shared", "times": 2, "want": {"data": [false, 3], "stdout": "3\n"}, "changes": "builtins"}
"""sys.displayhook puts _ into builtins; code.InteractiveInterpreter does so."""

import builtins
import code


def main(params, context):
    found = hasattr(builtins, "_")
    code.InteractiveInterpreter().runsource("1 + 2")
    return [found, builtins._]
