# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, "1", "KeyError", "2", true]}, "changes": "environ"}
"""All that os.environ can do, bytes too."""

import os


def main(params, context):
    environ = os.environ
    first = "BEHAVIOUR_MAP" not in environ
    one = environ.setdefault("BEHAVIOUR_MAP", "1")
    os.unsetenv("BEHAVIOUR_MAP")
    del environ["BEHAVIOUR_MAP"]
    try:
        environ["BEHAVIOUR_MAP"]
    except KeyError as error:
        missing = type(error).__name__
    environ |= {"BEHAVIOUR_MAP": "2"}
    os.environb[b"BEHAVIOUR_BYTES"] = b"3"
    return [first, one, missing, environ.copy().pop("BEHAVIOUR_MAP"), os.getenvb(b"BEHAVIOUR_BYTES") == b"3"]
