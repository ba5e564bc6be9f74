"""ProcessPoolExecutor of the standard library: the yardstick."""
from concurrent.futures import ProcessPoolExecutor

from drive import System, function, serve


class Pool(System):
    settings = "submit for one by one, map(chunksize=100) for batches"

    def __init__(self, options):
        self._pool = ProcessPoolExecutor(options.slots)
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
