# {"pools": "shared", "python": "no", "want": {"error": "ValueError", "message_has": "main thread"}}
"""In a shared worker no task is the main thread."""

import signal


def main(params, context):
    signal.signal(signal.SIGUSR1, print)
