# {"pools": "exclusive shared", "times": 2, "want": {"data": [12, "12 km"]}}
"""A package may have modules called path and sys."""

import route.path
from route import sys as units


def main(params, context):
    import colorsys  # noqa: F401 (an import after it still works)
    return [route.path.LENGTH, units.show(route.path.LENGTH)]
