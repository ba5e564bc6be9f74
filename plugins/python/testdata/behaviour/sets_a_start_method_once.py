# {"pools": "exclusive shared", "times": 2, "want": {"data": ["forkserver", "RuntimeError"]}}
"""set_start_method works once in a program: in each task, then."""

import multiprocessing


def main(params, context):
    multiprocessing.set_start_method("forkserver")
    try:
        multiprocessing.set_start_method("spawn")
    except RuntimeError as error:
        return [multiprocessing.get_start_method(), type(error).__name__]
