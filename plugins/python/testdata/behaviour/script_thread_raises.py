# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "fine\n", "stderr_has": "Exception in thread worker:\nTraceback"}}
"""An exception in a thread ends nobody but that thread."""

import threading


def fail():
    raise RuntimeError("in the thread")


thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()
print("fine")
