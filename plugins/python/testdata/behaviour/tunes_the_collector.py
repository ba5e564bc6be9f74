# {"pools": "exclusive shared", "times": 2, "want": {"data": [false, true, 0, 0]}, "changes": "collector frozen collector_callbacks"}
"""The collector's settings hold for one task."""

import gc


def called_back(phase, about):
    pass


def main(params, context):
    found = [gc.get_threshold()[0] == 10_000, gc.isenabled(), gc.get_debug(), gc.get_freeze_count()]
    gc.set_threshold(10_000, 5, 5)
    gc.callbacks.append(called_back)
    gc.freeze()
    gc.disable()
    return found
