"""Round trips of a no-op by ProcessPoolExecutor; prints nanoseconds, one a line.

    pool_rounds.py ROUNDS CLIENT_CPU WORKER_CPU     (a CPU of -1: not pinned)
"""
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def pin(cpu):
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})


def noop(params):
    return None


if __name__ == "__main__":
    rounds, client_cpu, worker_cpu = map(int, sys.argv[1:])
    with ProcessPoolExecutor(1, initializer=pin, initargs=(worker_cpu,)) as pool:
        pool.submit(noop, {}).result()
        pin(client_cpu)
        for i in range(-500, rounds):
            start = time.perf_counter_ns()
            pool.submit(noop, {}).result()
            if i >= 0:
                print(time.perf_counter_ns() - start)
