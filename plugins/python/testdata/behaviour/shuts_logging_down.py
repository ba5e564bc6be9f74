# {"pools": "exclusive shared", "times": 2, "want": {"stderr": "one\ntwo\n"}}
"""logging.shutdown is no end for those who come after."""

import logging


def main(params, context):
    logging.getLogger("a").error("one")
    logging.shutdown()
    logging.getLogger("b").error("two")
