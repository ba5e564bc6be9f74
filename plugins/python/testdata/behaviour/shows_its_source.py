# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, true, "shows_its_source.py"]}}
"""inspect and linecache find the script's text."""

import inspect
import linecache
import os


def main(params, context):
    return ["inspect.getsource" in inspect.getsource(main), linecache.getline(__file__, 1).startswith("# {"),
            os.path.basename(inspect.getsourcefile(main))]
