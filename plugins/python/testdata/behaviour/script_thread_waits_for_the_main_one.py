# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "the end of main\nafter main\n"}}
"""A thread that waits for the main thread's end goes on when the script's last line is done."""

import threading


def work():
    threading.main_thread().join()
    print("after main")


threading.Thread(target=work).start()
print("the end of main")
