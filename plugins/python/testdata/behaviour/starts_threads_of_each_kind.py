# {"pools": "exclusive shared", "times": 2, "want": {"data": ["pool", "thread", "timer"], "stdout": "pool\nthread\ntimer\n"}}
"""Executors, threads and timers print to their task."""

import threading
from concurrent.futures import ThreadPoolExecutor


def main(params, context):
    done = []

    def work(name):
        print(name)
        done.append(name)

    with ThreadPoolExecutor(2) as pool:
        pool.submit(work, "pool").result()
    for thread in (threading.Thread(target=work, args=["thread"]), threading.Timer(0, work, ["timer"])):
        thread.start()
        thread.join()
    return done
