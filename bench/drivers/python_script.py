"""python3 script.py: a new interpreter for each task."""
import os
import subprocess

from drive import PYTHON, System, Unsupported, by_threads, serve

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "works.py")


class Scripts(System):
    settings = "one process a task, as many at a time as there are slots"

    def __init__(self, options):
        if options.waiting:
            raise Unsupported("64 at a time are 64 interpreters that start at once")
        self._threads = options.slots
        self.one("noop", 1)

    def one(self, work, param):
        if not isinstance(param, int):
            raise Unsupported("its params are the arguments of a command")
        done = subprocess.run([PYTHON, _SCRIPT, work, str(param)], stdout=subprocess.PIPE, check=True)
        return int(done.stdout)

    def each(self, work, params):
        return by_threads(self._threads, lambda param: self.one(work, param), params)


if __name__ == "__main__":
    serve(Scripts)
