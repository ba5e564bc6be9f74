# {"pools": "exclusive shared", "times": 2, "want": {"stderr": "{dir}/warns_at_each_run.py:8: UserWarning: be careful\n  warnings.warn(\"be careful\")\n"}}
"""A warning is shown once for each place: to each task that comes there."""

import warnings


def main(params, context):
    warnings.warn("be careful")
