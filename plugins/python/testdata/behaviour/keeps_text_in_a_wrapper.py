# {"pools": "exclusive shared", "steps": [{"params": "one", "want": {"stdout": "text of one\n"}}, {"params": "two", "want": {"stdout": "text of two\n"}}, {"params": "three", "want": {"stdout": "text of three\n"}}]}
"""A new text stream over stdout's buffer, never flushed by the script: its text belongs to the task that wrote it."""

import io
import sys


def main(params, context):
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    print("text of", params)
