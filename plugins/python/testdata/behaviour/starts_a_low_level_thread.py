# {"pools": "exclusive", "want": {"stdout": "low\n"}}
"""_thread.start_new_thread prints to the task, too."""

import _thread


def main(params, context):
    done = _thread.allocate_lock()
    done.acquire()
    _thread.start_new_thread(work, (done,))
    done.acquire()


def work(done):
    print("low")
    done.release()
