"""Several programs with an Executor each, and ordinary tasks, on one daemon: nobody gets anything of another."""

import os
import subprocess
import sys
import unittest
from concurrent.futures.process import BrokenProcessPool

import restarts
from cpu_load_balancer import Task
from cpu_load_balancer.futures import Executor

WAIT = 60
PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CONFIG = restarts.EXCLUSIVE + """
pool "several" {
  executor   = "python"
  task_types = ["io_bound"]
  workers    = 1
  threads    = 2
  pin        = false
}
"""
PROGRAM = f"""
import multiprocessing, os, sys, warnings
sys.path[1:1] = [{PACKAGE!r}]
import helpers
from cpu_load_balancer import Engine
from cpu_load_balancer.futures import Executor
NAME = sys.argv[2]
class Kind: pass
def found(kind):
    import helpers as others
    return (type(kind) is Kind, NAME, helpers.NAME, others.NAME, sys.modules["__main__"].NAME, sys.argv[2], os.environ["NAME"],
            os.path.basename(os.getcwd()), *sys.warnoptions, ("ignore", ResourceWarning) in [each[:3:2] for each in warnings.filters[:1]], bytes(multiprocessing.current_process().authkey).hex())
if __name__ == "__main__":
    os.environ["NAME"] = NAME
    os.chdir(os.path.dirname(__file__))
    wanted = (True, *7 * [NAME], "ignore::ResourceWarning", True, bytes(multiprocessing.current_process().authkey).hex())
    with Engine(sys.argv[1]) as engine, Executor(1, engine=engine, pool="io") as executor:
        for _ in sys.stdin:
            calls = [executor.submit(found, Kind()) for _ in range(3)]
            print({{call.result(60) for call in calls}} == {{wanted}} or [call.result() for call in calls], flush=True)
"""
STATE = """
import multiprocessing, os, sys, warnings
def main(params, context):
    this = multiprocessing.current_process()
    return [os.getcwd(), dict(os.environ), sys.argv, sys.path, this.name, bytes(this.authkey).hex(), "helpers" in sys.modules,
            multiprocessing.process.ORIGINAL_DIR, sys.warnoptions, list(map(str, warnings.filters)), hasattr(sys.modules["__main__"], "NAME")]
"""


class Programs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = restarts.RestartedDaemon(cls, CONFIG)
        cls.engine = cls.daemon.engine()
        cls.addClassCleanup(cls.engine.close)

    def start(self, name):
        os.mkdir(os.path.join(self.daemon.folder, name))
        self.daemon.write(os.path.join(name, "helpers.py"), f"NAME = {name!r}")
        path = self.daemon.write(os.path.join(name, "program.py"), PROGRAM)
        started = subprocess.Popen([sys.executable, "-W", "ignore::ResourceWarning", path, self.daemon.socket, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(started.communicate)
        self.addCleanup(started.kill)
        return started

    def test_programs_that_take_turns_in_one_worker_each_find_what_is_theirs_and_tasks_find_nothing_of_it(self):
        def state():
            return self.engine.run_task(Task.create(None, None, source=STATE, pool="io")).data
        before = state()
        programs = [self.start(name) for name in ("one", "two")]
        for _ in range(2):
            for program in programs:
                program.stdin.write("go\n")
                program.stdin.flush()
                self.assertEqual(program.stdout.readline(), "True\n")
                self.assertEqual(state(), before)

    def test_pool_whose_workers_run_several_tasks_at_a_time_is_refused_with_the_remedy(self):
        with Executor(1, engine=self.engine, pool="several") as executor:
            with self.assertRaisesRegex(BrokenProcessPool, r'threads = 1.*isolation = "process"'):
                executor.submit(os.getpid).result(WAIT)

    def test_program_that_comes_on_stdin_is_not_looked_for_in_a_file(self):
        text = f"""
import pickle, sys
sys.path.insert(0, {PACKAGE!r})
from cpu_load_balancer.futures.preparation import preparation
print(*preparation(None, (), {{}}, pickle.dumps)["preparation"])
"""
        loaded = subprocess.run([sys.executable, "-"], input=text, stdout=subprocess.PIPE, timeout=WAIT, text=True, check=True)
        self.assertNotIn("init_main_from_path", loaded.stdout)
        self.assertIn("sys_path", loaded.stdout)


if __name__ == "__main__":
    unittest.main()
