# {"pools": "exclusive", "python": "no", "function": "__main__", "params": [], "steps": [{"want": {"code": "exit", "error": "SystemExit", "stderr_has": "KeyboardInterrupt", "stdout": "before\n"}}, {"want": {"code": "exit", "error": "SystemExit", "stderr_has": "KeyboardInterrupt", "stdout": "before\n"}}]}
"""A script that is interrupted ends with its traceback; the worker and the next run are none the worse."""

import os
import signal

print("before")
os.kill(os.getpid(), signal.SIGINT)
while True:
    pass
