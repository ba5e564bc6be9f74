# {"pools": "exclusive shared", "times": 2, "want": {"stdout": "ERROR by a sibling\n"}}
"""logging.config finds a class by the name of a sibling, and ext://sys.stdout."""

import logging
import logging.config


def main(params, context):
    logging.config.dictConfig({
        "version": 1, "disable_existing_loggers": False,
        "formatters": {"short": {"()": "formats_beside.Short"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "short"}},
        "loggers": {"from.a.dict": {"handlers": ["out"], "propagate": False}}})
    logging.getLogger("from.a.dict").error("by a sibling")
