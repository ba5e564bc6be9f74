# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "blue True True\n"}}
"""__main__ is the script."""

import os
import sys

colour = "blue"
import __main__  # noqa: E402

print(__main__.colour, sys.modules["__main__"] is __main__, os.path.samefile(__main__.__file__, sys.argv[0]))
