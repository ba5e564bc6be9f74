# {"pools": "exclusive shared", "times": 2, "want": {"data": ["é", "utf-8", "utf-8"]}}
"""Files are UTF-8 without a word about it, names of files and arguments too."""

import locale
import os
import sys
import tempfile


def main(params, context):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "é")
        with open(path, "w") as file:
            file.write("é")
        with open(path) as file:
            return [file.read(), locale.getpreferredencoding(False).lower(), sys.getfilesystemencoding()]
