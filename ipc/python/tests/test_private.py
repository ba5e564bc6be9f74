"""A private daemon and the program that it belongs to."""

import asyncio
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from cpu_load_balancer import AsyncEngine, ConnectionLostError, CPULoadBalancerError, Engine, Task, private

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

    def test_close_waits_for_a_daemon_that_answers_and_kills_one_that_hangs(self):
        with mock.patch.multiple(private, _USUAL_SECONDS=0, _ANSWER_SECONDS=1, _STOP_SECONDS=3600):
            engine = Engine.private(BIN)
            os.kill(engine.daemon_pid, signal.SIGSTOP)
            engine.close()
            self.assertRaises(ProcessLookupError, os.kill, engine.daemon_pid, 0)
            self.assertFalse(os.path.exists(os.path.dirname(engine.socket)))
        with tempfile.TemporaryDirectory() as folder, mock.patch.multiple(private, _USUAL_SECONDS=0, _ANSWER_SECONDS=60):
            script, ready = os.path.join(folder, "x.py"), os.path.join(folder, "ready")
            os.mkfifo(ready)
            with open(script, "w", encoding="utf-8") as file:
                file.write(f"import time\ndef main(params, context):\n open({ready!r}, 'w').close()\n time.sleep(1)\n open({ready + 'x'!r}, 'w').close()\n")
            with Engine.private(BIN) as engine:
                engine.submit_task(Task.create(script))
                open(ready, encoding="utf-8").close()
            self.assertTrue(os.path.exists(ready + "x"))

    def test_close_that_is_interrupted_leaves_neither_process_nor_folder(self):
        engine = Engine.private(BIN)
        os.kill(engine.daemon_pid, signal.SIGSTOP)
        with mock.patch.object(private, "_ends", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, engine.close)
        self.assertRaises(ProcessLookupError, os.kill, engine.daemon_pid, 0)
        self.assertFalse(os.path.exists(os.path.dirname(engine.socket)))

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

    def test_each_call_says_that_a_daemon_that_was_killed_is_gone(self):
        with Engine.private(BIN) as engine:
            task_id = engine.submit_task(Task.create(__file__))
            ended = os.pidfd_open(engine.daemon_pid)
            self.addCleanup(os.close, ended)
            results = engine.batch_results(engine.submit_batch([Task.create(__file__, delay=600)]).batch_id)
            events = engine.events(task_id)
            os.kill(engine.daemon_pid, signal.SIGKILL)
            self.assertTrue(select.select([ended], [], [], 60)[0])
            task = Task.create(__file__)
            for call in (lambda: engine.get_result(task_id), lambda: engine.submit_task(task), lambda: engine.run_task(task), engine.get_status,
                         lambda: engine.submit_batch([task]), lambda: engine.cancel(task_id), lambda: engine.rerun_task(task_id),
                         lambda: next(engine.list_tasks()), lambda: next(engine.map(__file__, [1])), lambda: next(engine.as_completed([task_id])),
                         lambda: next(events), lambda: next(results)):
                with self.assertRaisesRegex(ConnectionLostError, "the private daemon has ended, with status -9") as raised:
                    call()
                self.assertEqual(raised.exception.code, "no_daemon")

    def test_call_that_waits_when_the_daemon_is_killed_says_the_same(self):
        async def killed():
            async with AsyncEngine.private(BIN) as engine:
                await engine.get_status()
                calls = [asyncio.ensure_future(call) for call in (
                    engine.run_task(Task.create(__file__, delay=600), None), engine.map(__file__, [1], delay=600).__anext__(),
                    engine.events(await engine.submit_task(Task.create(__file__, delay=600)), after="1.1").__anext__())]
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(calls[0]), 0.1)
                os.kill(engine.daemon_pid, signal.SIGKILL)
                return await asyncio.gather(*calls, return_exceptions=True)
        for error in asyncio.run(killed()):
            self.assertEqual((type(error), getattr(error, "code", None)), (ConnectionLostError, "no_daemon"), error)

    def test_folder_for_temporary_files_may_have_any_path(self):
        with tempfile.TemporaryDirectory() as folder:
            script = folder + "/script.py"
            with open(script, "w", encoding="utf-8") as file:
                file.write("def main(params): return 1")
            for length in (42, 200):  # too long for the workers' sockets, and for the daemon's own
                path = (folder + "/long" * length)[:length - 1] + "g"
                os.makedirs(path)
                with mock.patch.object(tempfile, "tempdir", path), Engine.private(BIN) as engine:
                    result = engine.run_task(Task.create(script), timeout=60)
                    self.assertEqual((result.data, result.error), (1, None))
                    self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(engine.socket)).st_mode), 0o700)
                self.assertFalse(os.path.exists(os.path.dirname(engine.socket)))
                for place in (folder, folder + "/none"):  # where others could replace it, or that is not there
                    os.chmod(folder, 0o777)
                    with mock.patch.object(tempfile, "tempdir", path), mock.patch.object(private, "_SHORT_FOLDER", place), \
                            self.assertRaisesRegex(CPULoadBalancerError, "set TMPDIR to a folder of yours whose path has at most 38 bytes"):
                        Engine.private(BIN)

    def test_socket_with_too_long_a_path_is_said_with_the_remedy(self):
        path = "/" + "x" * 200
        with Engine(path) as engine, self.assertRaisesRegex(ConnectionLostError, "has 201 bytes, and a socket's may have at most 107; use a shorter"):
            engine.get_status()

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
