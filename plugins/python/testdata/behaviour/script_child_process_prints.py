# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "in the child\nin the parent 4\n"}}
"""A child of multiprocessing prints to the script's stdout; its exit code is told."""

import multiprocessing
import sys


def work():
    print("in the child")
    sys.stdout.flush()
    sys.exit(4)


if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    print("in the parent", process.exitcode)
