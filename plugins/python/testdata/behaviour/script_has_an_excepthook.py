# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"exit": 1, "stderr": "hooked: KeyError 'lost'\n"}}
"""sys.excepthook is called for what nobody catches."""

import sys

sys.excepthook = lambda kind, error, trace: print("hooked:", kind.__name__, error, file=sys.stderr)
raise KeyError("lost")
