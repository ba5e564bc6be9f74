# {"pools": "exclusive shared", "times": 2, "want": {"data": "ValueError", "stderr_has": "Exception in thread a thread of mine:\nTraceback"}}
"""An exception in a thread is told on the task's stderr, by the hook."""

import threading

caught = []


def fails():
    raise ValueError("in a thread")


def hook(about):
    caught.append(about.exc_type.__name__)
    threading.__excepthook__(about)


def main(params, context):
    threading.excepthook = hook
    thread = threading.Thread(target=fails, name="a thread of mine")
    thread.start()
    thread.join()
    return caught.pop()
