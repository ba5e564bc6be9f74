"""A private daemon and the program that it belongs to."""

import os
import select
import shutil
import subprocess
import sys
import unittest

from cpu_load_balancer import ConnectionLostError, CPULoadBalancerError, Engine, Task

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")


class PrivateDaemon(unittest.TestCase):
    def test_daemon_that_does_not_start_says_why(self):
        with self.assertRaisesRegex(CPULoadBalancerError, "/nonexistent/config.hcl"):
            Engine.private(BIN, config="/nonexistent/config.hcl")

    def test_close_leaves_neither_process_nor_folder(self):
        engine = Engine.private(BIN)
        engine.close()
        self.assertFalse(os.path.exists(os.path.dirname(engine.socket)))
        self.assertRaises(ProcessLookupError, os.kill, engine.daemon_pid, 0)
        self.assertRaises(ConnectionLostError, engine.submit_task, Task.create("x.py"))

    def test_forked_child_that_ends_leaves_the_daemon_alone(self):
        program = """
import os, sys
from cpu_load_balancer import Engine
with Engine.private(sys.argv[1]) as engine:
    child = os.fork()
    if child == 0:
        sys.exit(0)  # leaves the with block and runs what is due at exit
    os.waitpid(child, 0)
    print(engine.get_status()["engine"]["is_running"])
"""
        done = subprocess.run([sys.executable, "-c", program, BIN], capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout, done.returncode), ("True\n", 0), done.stderr)

    def test_daemon_ends_with_a_program_that_is_killed(self):
        program = """
import signal, sys
from cpu_load_balancer import Engine
engine = Engine.private(sys.argv[1])
print(engine.daemon_pid, engine.socket, flush=True)
signal.pause()
"""
        with subprocess.Popen([sys.executable, "-c", program, BIN], stdout=subprocess.PIPE, text=True) as parent:
            self.addCleanup(parent.kill)
            daemon, socket = parent.stdout.readline().split()
            self.addCleanup(shutil.rmtree, os.path.dirname(socket))
            ended = os.pidfd_open(int(daemon))
            self.addCleanup(os.close, ended)
            parent.kill()
            self.assertTrue(select.select([ended], [], [], 60)[0], "the daemon goes on")
        self.assertFalse(os.path.exists(socket))


if __name__ == "__main__":
    unittest.main()
