# {"pools": "exclusive", "python": "no", "steps": [{"params": "leave", "want": {"stdout": "before\n"}}, {"params": "look", "want": {"stdout": "by print\nby echo\n"}}]}
"""A task that leaves another file on descriptor 1 does not take it away from the next one."""

import os
import sys


def main(params, context):
    if params == "look":
        print("by print", flush=True)
        os.system("echo by echo")
        return
    print("before", flush=True)
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    os.system("echo lost")
    print("lost", flush=True)
    sys.stdout.flush()
