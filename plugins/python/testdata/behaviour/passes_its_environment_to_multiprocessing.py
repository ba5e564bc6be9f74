# {"pools": "exclusive shared", "times": 2, "want": {"data": ["set", "missing"]}}
"""Children of multiprocessing have the environment that the task has by then."""

import multiprocessing
import os


def main(params, context):
    os.environ["BEHAVIOUR_CHILD"] = "set"
    os.environ.pop("LANG", None)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.starmap(os.getenv, [("BEHAVIOUR_CHILD", "missing"), ("LANG", "missing")])
