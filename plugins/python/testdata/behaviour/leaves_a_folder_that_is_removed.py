# {"pools": "exclusive shared", "times": 2, "want": {"data": ["FileNotFoundError", "/"]}, "changes": "folder"}
"""Whoever stands in a folder that has been removed can still go elsewhere."""

import os
import tempfile


def main(params, context):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    try:
        os.getcwd()
    except OSError as error:
        found = type(error).__name__
    os.chdir("/")
    return [found, os.getcwd()]
