# {"pools": "exclusive shared", "function": "__main__", "steps": [{"params": [], "want": {"stdout": "begun\n"}}, {"params": ["3"], "want": {"exit": 3, "stdout": "begun\n"}}, {"params": ["256"], "want": {"stdout": "begun\n"}}, {"params": ["-1"], "want": {"exit": 255, "stdout": "begun\n"}}, {"params": ["None"], "want": {"stdout": "begun\n"}}, {"params": ["'a reason'"], "want": {"exit": 1, "stdout": "begun\n", "stderr": "a reason\n"}}, {"params": ["[]"], "want": {"exit": 1, "stdout": "begun\n", "stderr": "[]\n"}}, {"params": ["True"], "want": {"exit": 1, "stdout": "begun\n"}}]}
"""sys.exit with all that may be given to it."""

import sys

print("begun")
if sys.argv[1:]:
    sys.exit(eval(sys.argv[1]))
