# {"pools": "exclusive shared", "times": 2, "want": {"data": ["0o600", "0o777"]}, "changes": "umask"}
"""os.umask holds for one task."""

import os
import tempfile


def main(params, context):
    os.umask(0o077)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        open(path, "w").close()
        private = oct(os.stat(path).st_mode & 0o777)
        os.umask(0)
        os.mkdir(os.path.join(folder, "sub"), 0o777)
        return [private, oct(os.stat(os.path.join(folder, "sub")).st_mode & 0o777)]
