# {"pools": "exclusive", "times": 2, "want": {"data": "joined", "stdout": "one\n"}}
"""Whoever joins all threads that there are, waits for those it has started, and for no others."""

import threading


def main(params, context):
    threading.Thread(target=print, args=["one"]).start()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    return "joined"
