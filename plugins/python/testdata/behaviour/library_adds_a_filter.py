# {"pools": "exclusive shared", "times": 2, "want": {"data": "NoisyWarning"}, "keeps": "warnings", "fresh": true}
"""A library that sets a filter while it is imported keeps it, also if the task had set one before the import."""

import os
import sys
import warnings

sys.path.append(os.path.join(os.path.dirname(__file__), "lib"))


def main(params, context):
    warnings.simplefilter("ignore", BytesWarning)
    import a_noisy_library
    try:
        a_noisy_library.call()
    except Warning as warning:
        return type(warning).__name__
