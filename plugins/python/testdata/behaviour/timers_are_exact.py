# {"pools": "exclusive shared", "times": 2, "want": {"data": [50000, 50000, 50000, 50000]}}
"""The kernel's timers are as exact as they are anywhere: in a task, in a thread of it, in what that starts and in a child."""

import ctypes
import subprocess
import sys
import threading

PR_GET_TIMERSLACK = 30
CHILD = "import ctypes; print(ctypes.CDLL(None).prctl(%d))" % PR_GET_TIMERSLACK


def slack():
    return ctypes.CDLL(None).prctl(PR_GET_TIMERSLACK)


def child():
    return int(subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True).stdout)


def main(params, context):
    found = [slack(), child()]
    thread = threading.Thread(target=lambda: found.extend((slack(), child())))
    thread.start()
    thread.join()
    return found
