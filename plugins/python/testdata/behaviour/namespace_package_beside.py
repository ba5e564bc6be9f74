# {"pools": "exclusive shared", "times": 2, "want": {"data": ["inner", null]}}
"""A folder without __init__.py is a package, too."""

import open_space.inner


def main(params, context):
    return [open_space.inner.NAME, getattr(open_space, "__file__", None)]
