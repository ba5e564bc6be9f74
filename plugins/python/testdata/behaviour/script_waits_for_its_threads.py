# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "last line\nfrom a thread\n"}}
"""Python waits for threads that are no daemons before it ends."""

import sys
import threading

done = threading.Event()


def work():
    done.wait()
    print("from a thread")


threading.Thread(target=work).start()
print("last line")
sys.stdout.flush()
threading.Timer(0.05, done.set).start()
