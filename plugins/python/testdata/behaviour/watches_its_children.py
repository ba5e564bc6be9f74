# {"pools": "exclusive", "times": 2, "want": {"data": ["SIG_DFL", true]}, "changes": "signal_handlers"}
"""A handler for SIGCHLD runs when a child ends."""

import signal
import subprocess


def main(params, context):
    ended = []
    found = signal.signal(signal.SIGCHLD, lambda number, frame: ended.append(number)).name
    subprocess.run(["true"])
    while not ended:
        pass
    return [found, set(ended) == {signal.SIGCHLD}]
