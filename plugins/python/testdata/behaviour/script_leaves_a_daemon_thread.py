# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "the end\n"}, "keeps": "stdout stderr"}
"""Nobody waits for a daemon thread."""

import threading

threading.Thread(target=threading.Event().wait, daemon=True).start()
print("the end")
