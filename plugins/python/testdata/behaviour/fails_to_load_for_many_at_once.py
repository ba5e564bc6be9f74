# {"pools": "shared", "python": "no", "steps": [{"together": 4, "want": {"error": "LookupError", "message_has": "at the top"}}, {"want": {"error": "LookupError", "message_has": "at the top", "traceback_has": "in <module>"}}]}
"""All who run a script that fails to load get the same error."""

import time

time.sleep(0.05)
raise LookupError("at the top")


def main(params, context):
    pass
