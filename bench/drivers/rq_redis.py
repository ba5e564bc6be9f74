"""RQ with Redis: --class names the worker's class."""
import time

import redis_server
from drive import PYTHON, System, Unsupported, packages, serve, server
from rq_work import run


class Jobs(System):
    def __init__(self, options):
        if options.waiting:
            raise Unsupported("a worker runs one job at a time: 64 at a time are 64 processes")
        import redis
        from rq import Queue

        path = redis_server.start()
        self.settings = (f"worker class {options.kind}, enqueue for one by one, enqueue_many for batches; results are polled for, "
                         "as it has no call that waits; " + redis_server.SETTINGS)
        for _ in range(options.slots):
            server(PYTHON, "-m", "rq.cli", "worker", "--url", "unix://" + path, "--worker-class", "rq." + options.kind, "--quiet")
        self._queue, self._prepare = Queue(connection=redis.Redis(unix_socket_path=path)), Queue.prepare_data
        self.each("noop", list(range(4 * options.slots)))

    def versions(self):
        return packages("rq", "redis") + ", " + redis_server.version()

    def one(self, work, param):
        return _result(self._queue.enqueue(run, work, param), 0)

    def each(self, work, params):
        return [_result(job, 0.0005) for job in [self._queue.enqueue(run, work, param) for param in params]]

    def batch(self, work, params):
        jobs = self._queue.enqueue_many([self._prepare(run, (work, param)) for param in params])
        return [_result(job, 0.0005) for job in jobs]


def _result(job, pause):
    deadline = time.monotonic() + 60
    while (result := job.latest_result()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"job {job.id} has no result after 60 s")
        time.sleep(pause)
    return result.return_value


if __name__ == "__main__":
    serve(Jobs)
