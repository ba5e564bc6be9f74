# {"pools": "exclusive shared", "times": 2, "want": {"data": ["a", "b"], "stderr": "{dir}/catches_warnings.py:17: UserWarning: twice\n  warn_twice()\n"}}
"""Warnings can be recorded; a place that warns twice in one run is told once, and the caller's line is shown."""

import warnings


def warn_twice():
    warnings.warn("twice", stacklevel=2)


def main(params, context):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("a")
        warnings.warn("b")
    for _ in range(2):
        warn_twice()
    return [str(w.message) for w in caught]
