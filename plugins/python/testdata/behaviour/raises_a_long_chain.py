# {"pools": "exclusive shared", "want": {"error": "RuntimeError", "message_has": "try 1999", "traceback_has": "in main"}, "python": "no"}
"""Somebody tried two thousand times, each time because of the time before. The end of that is shown."""


def main(params, context):
    reason = None
    for n in range(2000):
        error = RuntimeError("try %d" % n)
        error.__cause__ = reason
        reason = error
    raise reason
