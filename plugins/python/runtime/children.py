"""Processes that a task of a shared worker starts by multiprocessing.

They are fresh interpreters, and find the script's modules by sys.path: its folder
comes first and, before it, links for what has a private name here.
"""

import functools
import os
import sys
import tempfile

from cpulb.owner import owner


class Links:
    """The links of this worker."""

    def __init__(self, folder, siblings):
        self.folder = folder  # the worker's private one, which ends with it; "" makes another
        self.siblings = siblings
        self.links = None

    def link_all(self):
        if self.links is None:
            self.links = tempfile.mkdtemp(prefix="scripts-", dir=self.folder or None)
        for private, (folder, name) in tuple(self.siblings.private.items()):
            for end in (".py", ""):
                file, link = os.path.join(folder, name + end), os.path.join(self.links, private + end)
                if os.path.exists(file) and not os.path.lexists(link):
                    try:
                        os.symlink(file, link)
                    except FileExistsError:  # another thread was faster
                        pass
        return self.links


def serve(folder, siblings):
    """Have multiprocessing.spawn, which is loaded, tell children where the script's modules are."""
    links = Links(folder, siblings)
    spawn = sys.modules["multiprocessing.spawn"]
    prepare = spawn.get_preparation_data

    @functools.wraps(prepare)
    def with_folders(name):
        data = prepare(name)
        context = owner()
        if context is not None and context._script is not None:
            data["sys_path"] = [links.link_all(), context._script.folder, *data.get("sys_path", sys.path)]
        return data

    spawn.get_preparation_data = with_folders
