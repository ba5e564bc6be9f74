"""With script_dirs: only files beneath these folders are loaded.

What counts is where a file is opened, not what it is called: between a look at a
name and the opening somebody may exchange a folder for a link. The folders
themselves are held open from the start of the worker.
"""

import errno

from _embedpy import open_beneath
from cpulb.errors import Refusal
from cpulb.held import os
from cpulb.rules import rules

folders = []  # (descriptor, real path)


def install(paths, own):
    """Allow what is beneath these folders, one a line, and own, where sources are kept."""
    for path in [*paths.split("\n"), own]:
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        folders.append((descriptor, os.path.realpath(path)))
    rules.folders = tuple(real for _, real in folders)
    rules.beneath = beneath
    return ()


def beneath(path):
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
