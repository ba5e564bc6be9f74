# {"pools": "exclusive shared", "function": "__main__", "params": [], "steps": [{"write": {"bad.py": "print('never')\nx = = 1\n"}, "script": "bad.py", "want": {"exit": 1, "stderr": "  File \"{dir}/bad.py\", line 2\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n"}}]}
"""A script that is no Python says so on stderr, and ends with exit code 1."""
