# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "the end of main\nno longer alive\n"}}
"""A thread that works for as long as the main thread lives ends after the script's last line."""

import threading
import time


def work():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    print("no longer alive")


threading.Thread(target=work).start()
print("the end of main")
