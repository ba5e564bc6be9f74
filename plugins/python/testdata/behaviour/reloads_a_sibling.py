# {"pools": "exclusive shared", "want": {"data": [0, true]}}
"""importlib.reload loads a sibling again, into the same module."""

import importlib

import counter_beside


def main(params, context):
    counter_beside.count = 5
    again = importlib.reload(counter_beside)
    return [counter_beside.count, again is counter_beside]
