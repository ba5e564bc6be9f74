# {"pools": "exclusive shared loop", "steps": [{"params": 0, "want": {"code": "exit", "error": "SystemExit", "stdout": "before\n"}}, {"params": 3, "want": {"code": "exit", "error": "SystemExit", "stdout": "before\n"}}, {"params": "a reason", "want": {"code": "exit", "error": "SystemExit", "message_has": "a reason", "stdout": "before\n"}}]}
"""sys.exit in a function ends the task, whatever it is given, and nothing but the task."""

import sys


def main(params, context):
    print("before")
    sys.exit(params)
