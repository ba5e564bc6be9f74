# {"pools": "exclusive shared", "times": 2, "want": {"data": ["__main__", 21], "stdout": "the other one\n"}}
"""runpy runs a script beside this one, which imports its own siblings."""

import os
import runpy


def main(params, context):
    names = runpy.run_path(os.path.join(os.path.dirname(__file__), "the_other.py"), run_name="__main__")
    return [names["NAME"], names["RESULT"]]
