"""joblib.Parallel, with its default backend of processes (loky), or threads for tasks that wait."""
from drive import System, function, packages, serve
from joblib import Parallel, delayed


class Jobs(System):
    settings = "loky, one Parallel kept open, pre_dispatch='all'; batch_size=1 for one by one, 'auto' for batches; threads for the tasks that wait"

    def __init__(self, options):
        prefer = "threads" if options.waiting else "processes"
        self._open = [Parallel(n_jobs=options.slots, prefer=prefer, batch_size=size, pre_dispatch="all").__enter__() for size in (1, "auto")]
        self.each("sleep", [0.001] * (4 * options.slots))

    def versions(self):
        return packages("joblib")

    def one(self, work, param):
        return self.each(work, [param])[0]

    def each(self, work, params):
        f = delayed(function(work))
        return self._open[0](f(param) for param in params)

    def batch(self, work, params):
        f = delayed(function(work))
        return self._open[1](f(param) for param in params)

    def close(self):
        for parallel in self._open:
            parallel.__exit__(None, None, None)


if __name__ == "__main__":
    serve(Jobs)
