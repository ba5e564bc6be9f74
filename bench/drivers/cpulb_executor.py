"""cpulb by the Executor of its Python client, which starts a daemon of its own; --bin has its programs."""
import os
import sys

from drive import System, function, serve

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "ipc", "python"))
from cpu_load_balancer.futures import Executor  # noqa: E402 (the folder is put there above)


class Pool(System):
    settings = "submit for one by one, map(chunksize=100) for batches"

    def __init__(self, options):
        self._pool = Executor(options.slots, bin_dir=options.bin)
        self.each("sleep", [0.001] * (4 * options.slots))  # all processes are there

    def one(self, work, param):
        return self._pool.submit(function(work), param).result()

    def each(self, work, params):
        f = function(work)
        return [future.result() for future in [self._pool.submit(f, param) for param in params]]

    def batch(self, work, params):
        return list(self._pool.map(function(work), params, chunksize=100))

    def close(self):
        self._pool.shutdown()


if __name__ == "__main__":
    serve(Pool)
