# {"pools": "exclusive shared", "times": 3, "want": {"stdout": "mine: hello\n"}}
"""A handler that the script set up while it was loaded writes to the stdout of the task that logs."""

import logging
import sys

logging.basicConfig(stream=sys.stdout, format="%(name)s: %(message)s", level="INFO")
log = logging.getLogger("mine")


def main(params, context):
    log.info("hello")
