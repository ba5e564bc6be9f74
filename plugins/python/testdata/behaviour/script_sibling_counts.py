# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "sibling loaded\n1\n"}}
"""The variables of a module beside a plain script begin anew at each run."""

import count_of_it

count_of_it.n += 1
print(count_of_it.n)
