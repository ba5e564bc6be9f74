# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "[1, 8]\n"}}
"""multiprocessing's children import the script to find its functions."""

import multiprocessing

import cubes


def cube(n):
    return cubes.cube(n)


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(cube, [1, 2]))
