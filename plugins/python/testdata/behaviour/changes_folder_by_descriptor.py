# {"pools": "exclusive shared", "times": 2, "want": {"data": "/usr"}, "changes": "folder"}
"""os.chdir, then os.fchdir: the folder of the beginning is put back, not the one between."""

import os


def main(params, context):
    os.chdir("/tmp")
    descriptor = os.open("/usr", os.O_RDONLY)
    try:
        os.fchdir(descriptor)
    finally:
        os.close(descriptor)
    return os.getcwd()
