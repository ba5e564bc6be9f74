"""An Executor on a daemon that is killed and started again."""

import os
import signal
import time
import unittest

import restarts
from cpu_load_balancer.futures import Executor, WorkerLostError

WAIT = 60


def nap(begun):
    """Return when it began and when it ended."""
    began = time.monotonic()
    with open(begun, "w", encoding="utf-8"):
        pass
    time.sleep(WAIT if begun.endswith("long") else 0.05)
    return began, time.monotonic()


class Restart(unittest.TestCase):
    def test_call_that_ran_is_lost_and_the_others_run_in_as_many_workers_as_before(self):
        daemon = restarts.RestartedDaemon(type(self), restarts.EXCLUSIVE)
        engine = daemon.engine()
        self.addCleanup(engine.close)
        with Executor(1, engine=engine, pool="io") as executor:
            for how in (signal.SIGKILL, signal.SIGTERM):
                path = os.path.join(daemon.folder, how.name + "-long")
                long = executor.submit(nap, path)
                deadline = time.monotonic() + WAIT
                while not os.path.exists(path):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.005)
                daemon.end(how)
                others = [executor.submit(nap, os.path.join(daemon.folder, "short")) for _ in range(12)]
                daemon.start()
                self.assertIsInstance(long.exception(WAIT), WorkerLostError)
                times = sorted(call.result(WAIT) for call in others)
                self.assertEqual([b for (_, b), (c, _) in zip(times, times[1:]) if c < b], [], "no two at the same time")
                self.assertIn((executor._pool.starting, len(executor._pool.carriers)), [(0, 0), (0, 1), (1, 0)])


if __name__ == "__main__":
    unittest.main()
