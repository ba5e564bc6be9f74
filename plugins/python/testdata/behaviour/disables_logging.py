# {"pools": "exclusive shared", "times": 2, "want": {"stderr": "before\n"}, "changes": "logging"}
"""logging.disable, a level and a record factory hold for one task."""

import logging


def main(params, context):
    logging.getLogger().error("before")
    logging.disable(logging.CRITICAL)
    logging.getLogger().setLevel("CRITICAL")
    logging.setLogRecordFactory(lambda *parts, **names: logging.LogRecord(*parts, **names))
    logging.critical("after")
