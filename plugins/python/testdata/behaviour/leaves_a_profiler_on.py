# {"pools": "exclusive shared", "times": 2, "want": {"data": null}, "changes": "profile", "only": "3.11"}
"""A cProfile.Profile that is enabled and forgotten ends with its task."""

import cProfile
import sys

profiles = []


def main(params, context):
    found = sys.getprofile()
    profiles.append(cProfile.Profile())
    profiles[-1].enable()
    return found
