"""What a garbage collection, or a signal's handler, ends takes no lock that the thread may hold in which it happens."""

import contextlib
import json
import os
import subprocess
import threading
import unittest

from cpu_load_balancer import deep
from cpu_load_balancer.private import PrivateDaemon

SECONDS = 60


class Finalizers(unittest.TestCase):
    def end(self, work):
        """Have work done by a thread that may wait for ever, and return what it returns."""
        done = []
        thread = threading.Thread(target=lambda: done.append(work()), daemon=True)
        thread.start()
        thread.join(SECONDS)
        self.assertEqual(len(done), 1, "it waits for what its own thread holds")
        return done[0]

    def test_json_that_nests_deep_may_be_read_while_such_is_read(self):
        self.assertEqual(self.end(lambda: deep._deeper(deep._deeper, json.loads, "[1]")), [1])

    def test_daemon_whose_state_is_asked_for_can_be_stopped_meanwhile(self):
        for script, status in (("kill -9 $$", -9), ("exit 3", 3), ("read line", None)):
            with self.subTest(script), contextlib.ExitStack() as ends:
                daemon = object.__new__(PrivateDaemon)
                daemon._process = ends.enter_context(subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE))
                if status is not None:
                    self.end(lambda: os.waitid(os.P_PID, daemon._process.pid, os.WEXITED | os.WNOWAIT))
                with daemon._process._waitpid_lock:
                    self.assertEqual((daemon.status, daemon.has_ended), (status, status is not None))


if __name__ == "__main__":
    unittest.main()
