# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "['ready 1', 'ready 2']\nThread ready\n"}}
"""Executors with an initializer: of processes and of threads."""

import concurrent.futures
import multiprocessing

state = None


def prepare(text):
    global state
    state = text


def use(n):
    return "%s %d" % (state, n)


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, prepare, ("ready",)) as pool:
        print(list(pool.map(use, [1, 2])))
    with concurrent.futures.ThreadPoolExecutor(1, "t", prepare, ("Thread ready",)) as pool:
        print(pool.submit(lambda: state).result())
