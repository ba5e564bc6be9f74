# {"pools": "exclusive shared", "times": 2, "want": {"data": ["module_knows_its_file.py", true, true, "a docstring"]}}
"""a docstring"""

import os
import sys


def main(params, context):
    me = sys.modules[__name__]
    return [os.path.basename(__file__), me.main is main, main.__module__ == __name__ and __spec__ is not None, __doc__]
