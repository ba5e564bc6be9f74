# {"pools": "exclusive shared", "times": 2, "want": {"data": [5, [2, 4]]}}
"""Values and arrays in memory that a process shares."""

import multiprocessing


def work(value, array):
    value.value = 5
    array[:] = [2 * x for x in array]


def main(params, context):
    spawn = multiprocessing.get_context("spawn")
    value, array = spawn.Value("i"), spawn.Array("i", [1, 2])
    process = spawn.Process(target=work, args=(value, array))
    process.start()
    process.join()
    return [value.value, list(array)]
