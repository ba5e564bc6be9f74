# {"pools": "exclusive shared", "times": 2, "want": {"data": [1000, null]}, "changes": "recursion_limit socket_timeout environ"}
"""What a thread of a task changes of the process is put back as if the task had done it."""

import os
import socket
import sys
import threading


def change():
    sys.setrecursionlimit(4000)
    socket.setdefaulttimeout(9)
    os.environ["BEHAVIOUR_THREAD"] = "on"


def main(params, context):
    found = [sys.getrecursionlimit(), os.environ.get("BEHAVIOUR_THREAD")]
    thread = threading.Thread(target=change)
    thread.start()
    thread.join()
    assert sys.getrecursionlimit() == 4000
    return found
