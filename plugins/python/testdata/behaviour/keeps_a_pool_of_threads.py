# {"pools": "exclusive shared", "python": "once", "times": 3, "want": {"data": "done", "stdout": "working\n"}}
"""A pool of threads that is made once serves all runs; what it prints belongs to the run that waits for it."""

import contextvars
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)


def work():
    print("working")
    return "done"


def main(params, context):
    return pool.submit(contextvars.copy_context().run, work).result()
