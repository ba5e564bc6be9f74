# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "interrupted\ncaught 15\n"}}
"""SIGINT is KeyboardInterrupt, and a handler of one's own catches what it was set for."""

import os
import signal

try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("interrupted")
signal.signal(signal.SIGTERM, lambda number, frame: print("caught", number))
os.kill(os.getpid(), signal.SIGTERM)
