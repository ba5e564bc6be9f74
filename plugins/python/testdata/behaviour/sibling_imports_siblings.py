# {"pools": "exclusive shared", "times": 2, "want": {"data": ["one", "two", true]}}
"""Modules beside the script import each other, in a circle, too."""

import circle_one
import circle_two


def main(params, context):
    return [circle_two.other(), circle_one.other(), circle_one.circle_two is circle_two]
