# {"pools": "exclusive shared", "times": 2, "want": {"data": ["replaced", "asked for anything"]}}
"""A module may put another object into sys.modules in its own place, and answer for names that it does not have."""

import answers_for_all
import replaces_me


def main(params, context):
    return [replaces_me.what, answers_for_all.anything]
