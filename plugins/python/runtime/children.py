"""Processes that a task starts by multiprocessing: always fresh interpreters.

What is pickled for them names our packages of scripts (see scripts.py), which a
fresh interpreter does not know. It finds them by links, one for each package, in a
folder that comes first in its sys.path.
"""

import functools
import multiprocessing.spawn
import os
import sys
import tempfile

from cpulb.output import owner
from cpulb.slot import scripts


class Packages:
    """The links of this worker."""

    def __init__(self, folder):
        self.folder = folder  # the worker's private one, which ends with it; "" makes another
        self.links = None

    def link_all(self):
        if self.links is None:
            self.links = tempfile.mkdtemp(prefix="scripts-", dir=self.folder or None)
        for name, folder in tuple(scripts.by_name.items()):
            link = os.path.join(self.links, name)
            if not os.path.lexists(link):
                try:
                    os.symlink(folder.path, link)
                except FileExistsError:  # another thread was faster
                    pass
        return self.links


def install(folder):
    packages = Packages(folder)
    prepare = multiprocessing.spawn.get_preparation_data

    @functools.wraps(prepare)
    def with_packages(name):
        data = prepare(name)
        context = owner()
        if context is not None and context._folder is not None:
            # The script's modules import each other by their own names.
            data["sys_path"] = [packages.link_all(), context._folder.path, *data.get("sys_path", sys.path)]
        return data

    multiprocessing.spawn.get_preparation_data = with_packages
    multiprocessing.set_start_method("spawn")
    multiprocessing.set_executable(sys.executable)
    return ()
