"""cpulb by its Python client; --socket is the daemon's."""
import os
import sys

from drive import System, by_threads, serve

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(_HERE, "..", "..", "ipc", "python"))
from cpu_load_balancer import Engine, Task  # noqa: E402 (the folder is put there above)

_SCRIPT = os.path.join(_HERE, "works.py")
_THREADS = 64


class Client(System):
    settings = (f"run_task for round trips, submit_task and get_result by {_THREADS} threads for one by one, "
                "submit_batch and batch_results for batches")

    def __init__(self, options):
        self._engine = Engine(options.socket)
        self.each("sleep", [0.001] * (4 * options.slots))

    def one(self, work, param):
        return _outcome(self._engine.run_task(Task.create(_SCRIPT, param, function=work), timeout=60))

    def each(self, work, params):
        engine = self._engine

        def both(param):
            return _outcome(engine.get_result(engine.submit_task(Task.create(_SCRIPT, param, function=work)), timeout=60))
        return by_threads(_THREADS, both, params)

    def batch(self, work, params):
        engine = self._engine
        batch = engine.submit_batch([Task.create(_SCRIPT, param, function=work) for param in params])
        data = {result.task_id: result.data for result in engine.batch_results(batch.batch_id, timeout=60)}
        return [data.get(task_id) for task_id in batch.task_ids]

    def close(self):
        self._engine.close()


def _outcome(result):
    return result.data if result.error is None else result.error


if __name__ == "__main__":
    serve(Client)
