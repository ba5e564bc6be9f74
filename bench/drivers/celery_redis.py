"""Celery with Redis as its broker and as the backend of its results."""
import os

import redis_server
from drive import PYTHON, System, packages, serve, server


class Tasks(System):
    settings = ("prefork (threads for the tasks that wait), prefetch multiplier 64, JSON, results kept, no gossip, mingle, heartbeat or events; "
                "delay for one by one, group and join for batches; " + redis_server.SETTINGS)

    def __init__(self, options):
        os.environ["BENCH_REDIS"] = redis_server.start()
        from celery import group
        from celery_app import run

        self._group, self._run = group, run
        server(PYTHON, "-m", "celery", "-A", "celery_app", "worker", "--concurrency", str(options.slots),
               "--pool", "threads" if options.waiting else "prefork", "--loglevel", "ERROR", "-O", "fair" if options.waiting else "default",
               "--without-gossip", "--without-mingle", "--without-heartbeat")
        self.one("noop", 1)
        self.each("sleep", [0.001] * (4 * options.slots))

    def versions(self):
        return packages("celery", "kombu", "redis") + ", " + redis_server.version()

    def one(self, work, param):
        return self._run.delay(work, param).get(60)

    def each(self, work, params):
        return [result.get(60) for result in [self._run.delay(work, param) for param in params]]

    def batch(self, work, params):
        # join takes half the time that get takes, by the backend's own way.
        return self._group(self._run.s(work, param) for param in params)().join(60)


if __name__ == "__main__":
    serve(Tasks)
