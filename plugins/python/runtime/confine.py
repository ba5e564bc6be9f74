"""Which files may be compiled: with script_dirs, only those beneath these folders.

What counts is where a file is opened, not what it is called: between a look at a
name and the opening somebody may exchange a folder for a link. The folders
themselves are held open from the start of the worker.
"""

import errno

from _embedpy import open_beneath
from cpulb.errors import Refusal
from cpulb.held import os

folders = []  # (descriptor, real path); none: any file will do


def install(paths, own):
    """Allow what is beneath these folders, one a line, and own, where sources are kept."""
    for path in [*paths.split("\n"), own]:
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        folders.append((descriptor, os.path.realpath(path)))
    return ()


def read(path):
    """The content of a file, by its real path; Refusal if it is not allowed."""
    with open(open_(path), "rb") as file:
        return file.read()


def open_(path):
    """A descriptor of a file, by its real path; Refusal if it is not allowed."""
    for descriptor, folder in folders:
        if not path.startswith(folder.rstrip("/") + "/"):
            continue
        try:
            return open_beneath(descriptor, path[len(folder.rstrip("/")) + 1:])
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.ELOOP):
                raise
    raise Refusal("script_not_allowed", "PermissionError",
                  "%s is not beneath one of access.script_dirs" % path)
