# {"pools": "exclusive shared", "want": {"data": ["written", "flushed"], "stdout": ""}}
"""print(flush=True) flushes the file that stands in sys.stdout."""

import sys


class Recorder:
    def __init__(self):
        self.calls = []

    def write(self, text):
        self.calls.append("written")

    def flush(self):
        self.calls.append("flushed")


def main(params, context):
    sys.stdout = recorder = Recorder()
    print("", end="line", flush=True)
    return sorted(set(recorder.calls), reverse=True)
