# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "main\nthread\nat exit\n"}}
"""atexit comes after the last thread."""

import atexit
import threading

gate = threading.Event()


def work():
    gate.wait()
    print("thread")


atexit.register(print, "at exit")
threading.Thread(target=work).start()
print("main")
gate.set()
