# {"pools": "exclusive shared", "times": 2, "want": {"data": [0, "UserWarning"]}, "changes": "warnings"}
"""All filters of a task are gone after it, whatever it called to set them."""

import warnings


def main(params, context):
    found = sum(action == "error" for action, *_ in warnings.filters)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="not this one")
    warnings.warn("not this one")
    try:
        warnings.warn("this one")
    except Warning as warning:
        return [found, type(warning).__name__]
