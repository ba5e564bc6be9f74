# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, 1]}, "changes": "affinity"}
"""os.sched_setaffinity holds for one task."""

import os


def main(params, context):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return [len(cores) > 1, len(os.sched_getaffinity(0))]
