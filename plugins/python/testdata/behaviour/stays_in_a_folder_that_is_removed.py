# {"pools": "exclusive shared", "want": {"data": "gone"}, "changes": "folder"}
"""The next task is where it would have been, although this one ends nowhere."""

import os
import tempfile


def main(params, context):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    return "there" if os.path.exists(folder) else "gone"
