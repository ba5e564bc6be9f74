# {"pools": "exclusive shared", "python": "once", "times": 3, "fresh": true, "steps": [{"params": 1, "want": {"data": [1, 1]}}, {"params": 2, "want": {"data": [2, 1]}}, {"params": 3, "want": {"data": [3, 1]}}]}
"""A script is loaded once; its variables are there at its next run."""

import loaded_with_it

count = 0


def main(params, context):
    global count
    count += 1
    return [count, loaded_with_it.LOADS]
