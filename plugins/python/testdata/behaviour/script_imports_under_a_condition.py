# {"pools": "exclusive shared", "function": "__main__", "steps": [{"params": ["a"], "want": {"stdout": "False a\n"}}, {"params": ["b"], "want": {"stdout": "False b\n"}}]}
"""Modules beside a plain script are imported at each run, as it is a new program each time."""

import sys

print("loaded_each_time" in sys.modules, sys.argv[1])
import loaded_each_time  # noqa: E402,F401
