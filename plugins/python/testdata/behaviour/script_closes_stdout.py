# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "before\n"}}
"""A script that closes its stdout ends well."""

import sys

print("before")
sys.stdout.close()
