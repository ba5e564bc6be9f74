# {"pools": "exclusive shared", "times": 2, "want": {"data": "forkserver"}, "changes": "start_method"}
"""multiprocessing.set_start_method(force=True) holds for one task."""

import multiprocessing


def main(params, context):
    multiprocessing.set_start_method("forkserver", force=True)
    return multiprocessing.get_start_method()
