# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 3, "want": {"stdout": "[1]\nonce\n"}}
"""Each run of a script finds the loggers as no script has touched them: a handler that it adds is the only one."""

import logging
import sys

log = logging.getLogger("of.a.script")
log.addHandler(logging.StreamHandler(sys.stdout))
log.setLevel(logging.INFO)
print([len(log.handlers)], flush=True)
log.info("once")
