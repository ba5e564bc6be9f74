# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "{dir}/script_knows_its_file.py {dir}/script_knows_its_file.py\n['__annotations__', '__builtins__', '__cached__', '__doc__', '__file__', '__loader__', '__name__', '__package__', '__spec__', 'sys']\nmodule\n"}}
"""The names that a plain script begins with."""

import sys

print(__file__, sys.argv[0])
print(sorted(name for name in globals()))
print(type(__builtins__).__name__)
