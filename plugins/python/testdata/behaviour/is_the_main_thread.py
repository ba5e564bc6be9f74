# {"pools": "exclusive", "times": 2, "want": {"data": ["MainThread", true, 1, true]}}
"""The task is the main thread, and at its beginning the only one."""

import _thread
import threading


def main(params, context):
    current = threading.current_thread()
    return [current.name, current is threading.main_thread(), threading.active_count(), current.ident == _thread.get_ident()]
