# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "[2, 4, 6]\n"}}
"""ProcessPoolExecutor runs the script's functions."""

from concurrent.futures import ProcessPoolExecutor


def double(n):
    return 2 * n


if __name__ == "__main__":
    with ProcessPoolExecutor(max_workers=1) as executor:
        print(list(executor.map(double, [1, 2, 3])))
