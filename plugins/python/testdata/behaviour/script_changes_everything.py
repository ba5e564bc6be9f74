# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "True /tmp ['changed']\n"}}
"""A plain script changes the process as it likes, and the next one finds nothing of that."""

import builtins
import gc
import locale
import os
import signal
import sys
import warnings

clean = gc.isenabled() and "BEHAVIOUR_SCRIPT" not in os.environ and not hasattr(builtins, "mine") and sys.getrecursionlimit() == 1000
gc.disable()
os.environ["BEHAVIOUR_SCRIPT"] = "1"
builtins.mine = 1
sys.setrecursionlimit(2222)
locale.setlocale(locale.LC_ALL, "C")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
warnings.simplefilter("error")
os.chdir("/tmp")
os.umask(0)
sys.path.insert(0, "/usr")
sys.argv = ["changed"]
print(clean, os.getcwd(), sys.argv)
