# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "6 True True\n"}}
"""globals() is the namespace of __main__; exec and eval work in it."""

import sys

exec("x = 6")
print(eval("x"), globals() is vars(sys.modules["__main__"]), "x" in dir())
