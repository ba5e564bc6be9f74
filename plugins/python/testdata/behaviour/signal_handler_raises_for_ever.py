# {"pools": "exclusive", "python": "no", "steps": [{"want": {"any_output": true, "data": 1}}, {"script": "look.py", "want": {"data": [[""], null, true]}}, {"script": "look.py", "want": {"data": [[""], null, true]}}]}
"""A timer whose handler raises goes on while the process is put back."""

import gc
import os
import signal


def tick(number, frame):
    raise ValueError("tick")


def main(params, context):
    os.environ["LEFT_BEHIND"] = "1"
    gc.disable()
    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 600, 0.0001)
    return 1
