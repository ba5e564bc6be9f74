# {"pools": "exclusive shared", "times": 2, "want": {"data": [[1, 4, 9], [2, 3], "beside 5"]}}
"""Processes find the functions of the script that started them, and those of its siblings."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import work_beside


def square(n):
    return n * n


def successor(n):
    return n + 1


def main(params, context):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        squares = pool.map(square, [1, 2, 3])
        beside = pool.apply(work_beside.tell, [5])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return [squares, list(pool.map(successor, [1, 2])), beside]
