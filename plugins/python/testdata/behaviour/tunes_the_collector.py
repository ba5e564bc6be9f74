# {"pools": "exclusive shared", "times": 2, "want": {"data": [[700, 10, 10], true, 0, 0]}, "changes": "collector frozen collector_callbacks", "only": "3.11"}
"""The collector's settings hold for one task."""

import gc


def called_back(phase, about):
    pass


def main(params, context):
    found = [list(gc.get_threshold()), gc.isenabled(), gc.get_debug(), gc.get_freeze_count()]
    gc.set_threshold(10_000, 5, 5)
    gc.callbacks.append(called_back)
    gc.freeze()
    gc.disable()
    return found
