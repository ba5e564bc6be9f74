"""Round trips of a no-op script by the Python client; prints nanoseconds, one a line.

    client_rounds.py CLIENT_FOLDER SOCKET SCRIPT ROUNDS CPU     (a CPU of -1: not pinned)
"""
import os
import sys
import time

folder, socket_path, script, rounds, cpu = sys.argv[1:]
sys.path.insert(0, folder)
from cpu_load_balancer import Engine, Task, TaskType  # noqa: E402 (the folder is an argument)

if int(cpu) >= 0:
    os.sched_setaffinity(0, {int(cpu)})
engine = Engine(socket_path)
for i in range(-500, int(rounds)):
    start = time.perf_counter_ns()
    task = Task.create(script_path=script, params={}, task_type=TaskType.CPU_BOUND)
    engine.get_result(engine.submit_task(task), timeout=30.0)
    if i >= 0:
        print(time.perf_counter_ns() - start)
engine.close()
