# {"pools": "exclusive shared", "times": 2, "want": {"data": ["UserWarning: to the log"]}, "changes": "captured_warnings warnings logging"}
"""logging.captureWarnings holds for one task."""

import logging
import warnings


class Keeper(logging.Handler):
    kept = []

    def emit(self, record):
        self.kept.append(record.getMessage().split("\n")[0].split(": ", 1)[1].strip())


def main(params, context):
    logging.captureWarnings(True)
    logging.getLogger().addHandler(Keeper())
    logging.getLogger("py.warnings").propagate = True
    warnings.warn("to the log")
    kept, Keeper.kept = Keeper.kept, []
    return kept
