# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"exit": 1, "stdout": "begun\n", "stderr_has": "Traceback (most recent call last):\n  File \"{dir}/script_raises.py\", line 8, in <module>\n    fail()\n"}}
"""An exception that nobody catches: the traceback on stderr, exit code 1."""

def fail():
    print("begun")
    raise ValueError("not good")

fail()
