# {"pools": "exclusive shared", "times": 2, "want": {"data": 1, "stderr": "INFO:root:first\nDEBUG:mine:second\n"}, "changes": "logging"}
"""logging.basicConfig configures each task's logging anew: its handler holds the stderr of that task."""

import logging


def main(params, context):
    logging.basicConfig(level=logging.DEBUG)
    logging.info("first")
    logging.getLogger("mine").debug("second")
    return len(logging.getLogger().handlers)
