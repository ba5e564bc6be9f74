# {"pools": "exclusive", "times": 2, "want": {"data": [false, true], "stderr_has": "in dump_here"}, "changes": "faulthandler"}
"""faulthandler.enable() takes sys.stderr, which has a descriptor; it holds for one task."""

import faulthandler


def dump_here():
    faulthandler.dump_traceback()


def main(params, context):
    found = faulthandler.is_enabled()
    faulthandler.enable()
    dump_here()
    return [found, faulthandler.is_enabled()]
