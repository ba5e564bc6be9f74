"""dask.distributed: a scheduler and worker processes on this machine."""
from drive import System, function, packages, serve


class Cluster(System):
    settings = ("LocalCluster of processes with a thread each (one with 64 threads for the tasks that wait), no dashboard; submit for one by one, "
                "map for batches, pure=False, gather")

    def __init__(self, options):
        import logging

        import dask
        from distributed import Client, LocalCluster

        dask.config.set({"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"})
        workers, threads = (1, options.slots) if options.waiting else (options.slots, 1)
        self._cluster = LocalCluster(n_workers=workers, threads_per_worker=threads, processes=True, dashboard_address=None,
                                     silence_logs=logging.CRITICAL, memory_limit=0)
        self._client = Client(self._cluster)
        self.each("sleep", [0.001] * (4 * options.slots))

    def versions(self):
        return packages("distributed")

    def one(self, work, param):
        return self._client.submit(function(work), param, pure=False).result()

    def each(self, work, params):
        f = function(work)
        return self._client.gather([self._client.submit(f, param, pure=False) for param in params])

    def batch(self, work, params):
        return self._client.gather(self._client.map(function(work), params, pure=False))

    def close(self):
        self._client.close()
        self._cluster.close()


if __name__ == "__main__":
    serve(Cluster)
