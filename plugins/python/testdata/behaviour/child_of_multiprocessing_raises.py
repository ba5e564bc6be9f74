# {"pools": "exclusive shared", "want": {"error": "ZeroDivisionError", "message_has": "division by zero", "traceback_has": "in divide"}}
"""What is raised in a process of a pool is raised where its result is asked for."""

import multiprocessing


def divide(n):
    return 1 / n


def main(params, context):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(divide, [1, 0])
