# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "[0, 1, 4]\n"}}
"""multiprocessing: a process with a queue, and a manager."""

import multiprocessing


def work(numbers, results):
    for n in iter(numbers.get, None):
        results.append(n * n)


if __name__ == "__main__":
    with multiprocessing.Manager() as manager:
        numbers, results = multiprocessing.Queue(), manager.list()
        process = multiprocessing.Process(target=work, args=(numbers, results))
        process.start()
        for n in (0, 1, 2, None):
            numbers.put(n)
        process.join()
        print(list(results))
