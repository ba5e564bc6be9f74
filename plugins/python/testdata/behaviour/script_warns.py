# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stderr": "{dir}/script_warns.py:6: DeprecationWarning: old\n  warnings.warn(\"old\", DeprecationWarning)\n"}}
"""DeprecationWarning is shown when __main__ causes it, as python3 does."""

import warnings

warnings.warn("old", DeprecationWarning)
warnings.warn("pending", PendingDeprecationWarning)
