# {"pools": "exclusive shared", "times": 2, "want": {"stderr": "careful\n"}}
"""Without any configuration a warning goes to stderr, as it is."""

import logging


def main(params, context):
    logging.getLogger("nobody.configured").warning("careful")
    logging.getLogger("nobody.configured").info("not shown")
