# {"pools": "exclusive shared", "times": 2, "want": {"stderr_has": "ResourceWarning: unclosed file"}}
"""ResourceWarning is shown, when it is asked for, while the task runs."""

import gc
import warnings


def main(params, context):
    warnings.simplefilter("always", ResourceWarning)
    open("/dev/null")
    gc.collect()
