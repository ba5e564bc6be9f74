"""multiprocessing.Pool of the standard library."""
import multiprocessing

from drive import System, function, serve


class Pool(System):
    settings = "apply_async for one by one, map with its own chunk size for batches"

    def __init__(self, options):
        self._pool = multiprocessing.Pool(options.slots)
        self.each("sleep", [0.001] * (4 * options.slots))

    def one(self, work, param):
        return self._pool.apply(function(work), (param,))

    def each(self, work, params):
        f = function(work)
        return [result.get() for result in [self._pool.apply_async(f, (param,)) for param in params]]

    def batch(self, work, params):
        return self._pool.map(function(work), params)

    def close(self):
        self._pool.terminate()
        self._pool.join()


if __name__ == "__main__":
    serve(Pool)
