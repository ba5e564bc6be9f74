# {"pools": "exclusive shared", "times": 2, "want": {"data": null}, "changes": "bytecode temporary_folder"}
"""Settings of the import system and of tempfile hold for one task."""

import sys
import tempfile


def main(params, context):
    found = sys.pycache_prefix
    sys.dont_write_bytecode = not sys.dont_write_bytecode
    sys.pycache_prefix = "/nowhere"
    tempfile.tempdir = "/usr"
    return found
