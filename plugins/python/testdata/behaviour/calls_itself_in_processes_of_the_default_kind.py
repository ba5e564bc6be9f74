# {"pools": "exclusive shared", "want": {"data": [["a", 1], 0]}}
"""A Process and a Queue, without a word about how processes are to be started."""

import multiprocessing


def give(queue):
    queue.put(["a", 1])


def main(params, context):
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=give, args=(queue,))
    process.start()
    answer = queue.get()
    process.join()
    return [answer, process.exitcode]
