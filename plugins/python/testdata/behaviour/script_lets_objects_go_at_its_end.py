# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "body\nfinalized\ndeleted\n"}}
"""weakref.finalize and __del__ of the script's globals run at its end."""

import weakref


class Thing:
    def __del__(self):
        print("deleted")


thing = Thing()
weakref.finalize(thing, print, "finalized")
print("body")
