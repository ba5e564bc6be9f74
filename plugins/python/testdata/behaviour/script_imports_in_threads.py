# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "['imaplib', 'poplib', 'sched']\n"}}
"""Threads of a plain script import modules of the standard library."""

import importlib
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(3) as pool:
    print([module.__name__ for module in pool.map(importlib.import_module, ["imaplib", "poplib", "sched"])])
