# {"pools": "exclusive shared", "times": 2, "want": {"data": [false, true]}, "changes": "signal_mask"}
"""signal.pthread_sigmask holds for one task."""

import signal


def main(params, context):
    found = signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    return [found, signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
