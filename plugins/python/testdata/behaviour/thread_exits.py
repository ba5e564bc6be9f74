# {"pools": "exclusive shared", "times": 2, "want": {"data": "went on"}}
"""sys.exit in a thread ends that thread, silently."""

import sys
import threading


def main(params, context):
    thread = threading.Thread(target=sys.exit, args=[3])
    thread.start()
    thread.join()
    return "went on"
