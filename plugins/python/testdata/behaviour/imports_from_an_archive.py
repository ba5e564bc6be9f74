# {"pools": "exclusive", "times": 2, "want": {"data": "in a zip"}}
"""zipimport: an archive beside the script in sys.path."""

import os
import sys
import tempfile
import zipfile

folder = tempfile.TemporaryDirectory()
archive = os.path.join(folder.name, "modules.zip")
with zipfile.ZipFile(archive, "w") as z:
    z.writestr("module_in_a_zip.py", "WHERE = 'in a zip'\n")
sys.path.insert(0, archive)


def main(params, context):
    import module_in_a_zip
    return module_in_a_zip.WHERE
