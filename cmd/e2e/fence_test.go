package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const oneIOWorker = `
executor "python" { command = "cpulb-python" }
pool "io" {
  executor = "python"
  task_types = ["io_bound"]
  workers = 1
  threads = 8
  pin = true
}
limits {
  cancel_grace = "200ms"
  fence_timeout = "10m"
}
`

// withFenceTimeout is oneIOWorker with another time for the neighbours of a task
// that does not stop.
func withFenceTimeout(timeout string) string {
	return strings.Replace(oneIOWorker, `fence_timeout = "10m"`, fmt.Sprintf("fence_timeout = %q", timeout), 1)
}

// waitsForFile ends when there is a file with the name that it is given.
const waitsForFile = `import os, time
def main(params, context):
    while not os.path.exists(params):
        time.sleep(0.005)
    return context.attempt
`

// workers asks for all workers; none: the question was refused.
func (d *daemon) workers() (all []map[string]any) {
	d.t.Helper()
	_, answer := d.call("GET", "/v1/workers", "")
	list, _ := answer["workers"].([]any)
	for _, w := range list {
		all = append(all, w.(map[string]any))
	}
	return all
}

// poolMetric returns one of process_pool's figures.
func (d *daemon) poolMetric(name string) float64 {
	d.t.Helper()
	_, status := d.call("GET", "/v1/status", "")
	n, ok := status["components"].(map[string]any)["process_pool"].(map[string]any)["metrics"].(map[string]any)[name].(float64)
	if !ok {
		d.t.Fatalf("no %s in %v", name, status)
	}
	return n
}

// result waits for the end of a task.
func (d *daemon) result(id string) map[string]any {
	d.t.Helper()
	_, r := d.call("GET", "/v1/tasks/"+id+"/result?timeout=10m", "")
	return r
}

// submit hands in a task of which fields are JSON fields, and returns its id.
func (d *daemon) submit(path, fields string) string {
	d.t.Helper()
	code, view := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"task_type":"io_bound",%s}`, path, fields))
	if code != 202 {
		d.t.Fatalf("POST /v1/tasks: %d %v", code, view)
	}
	return view["task_id"].(string)
}

// untilRunning returns once all these tasks run.
func (d *daemon) untilRunning(ids ...string) {
	d.t.Helper()
	for _, id := range ids {
		d.until("task "+id+" runs", func() bool {
			_, view := d.call("GET", "/v1/tasks/"+id, "")
			if view["status"] == "completed" || view["status"] == "failed" {
				d.t.Fatalf("task %s: %v", id, view)
			}
			return view["status"] == "running"
		})
	}
}

// neighbours starts n tasks that run until the file is made.
func (d *daemon) neighbours(n int) (file string, ids []string) {
	d.t.Helper()
	file = filepath.Join(d.t.TempDir(), "go on")
	path, params := script(d.t, waitsForFile), mustJSON(file)
	for range n {
		ids = append(ids, d.submit(path, `"params":`+params))
	}
	d.untilRunning(ids...)
	return file, ids
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// watchEnd returns a function that waits for the end of a process.
func watchEnd(t *testing.T, pid int) (wait func()) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return func() {}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func() {
		t.Helper()
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err == nil {
				return
			}
			if !errors.Is(err, unix.EINTR) {
				t.Fatal(err)
			}
		}
	}
}

// stubborn are tasks that don't stop when they are asked to, once they have reported
// progress.
var stubborn = map[string]string{
	"sleeps": "import time\ndef main(p, c):\n    c.progress(0)\n    time.sleep(3600)\n",
	"C call": "import ctypes\ndef main(p, c):\n    sleep = ctypes.CDLL(None).sleep\n    c.progress(0)\n    sleep(3600)\n",
	"swallows": `import time
def main(p, c):
    c.progress(0)
    while True:
        try:
            while True: time.sleep(0.001)
        except BaseException: pass
`,
	"child outlives": `import os, subprocess
def main(p, c):
    child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    with open(p + ".new", "w") as f: f.write(str(child.pid))
    os.rename(p + ".new", p)
    c.progress(0)
    while True:
        try: child.wait()
        except BaseException: pass
`,
}

// cancelStubborn runs one of the stubborn tasks, cancels it, and returns once it has
// ended without stopping.
func (d *daemon) cancelStubborn(text, params string) {
	d.t.Helper()
	id := d.submit(script(d.t, text), `"params":`+params)
	d.awaitEvent("/v1/tasks/"+id, "progress")
	if code, answer := d.call("DELETE", "/v1/tasks/"+id, ""); code/100 != 2 {
		d.t.Fatalf("DELETE: %d %v", code, answer)
	}
	if r := d.result(id); r["status"] != "cancelled" {
		d.t.Fatalf("result: %v\n%s", r, d.log)
	}
}

func TestNeighboursSurviveATaskThatDoesNotStop(t *testing.T) {
	t.Parallel()
	for name, text := range stubborn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, oneIOWorker)
			goOn, neighbours := d.neighbours(4)
			old := int(d.workers()[0]["pid"].(float64))
			ended := watchEnd(t, old)
			childFile := filepath.Join(t.TempDir(), "child")
			d.cancelStubborn(text, mustJSON(childFile))
			// Its neighbours run on while the successor takes what is new.
			if r := d.run(script(t, doubles), `{"value":1}`, "io_bound"); r["status"] != "completed" || r["worker"].(map[string]any)["pid"] == float64(old) {
				t.Errorf("afterwards: %v", r)
			}
			if text := fmt.Sprint(d.workers()); !strings.Contains(text, "state:fenced") || !strings.Contains(text, "did not stop") {
				t.Errorf("no fenced worker in %s", text)
			}
			touch(t, goOn)
			for _, id := range neighbours {
				if r := d.result(id); r["status"] != "completed" || r["data"] != 1.0 || r["worker"].(map[string]any)["pid"] != float64(old) {
					t.Errorf("neighbour: %v", r)
				}
			}
			ended()
			if pid, err := os.ReadFile(childFile); err == nil {
				var n int
				fmt.Sscan(string(pid), &n)
				watchEnd(t, n)()
			}
			if n := d.poolMetric("worker_deaths"); n != 0 {
				t.Errorf("%v deaths were counted", n)
			}
		})
	}
}

// A C call that keeps Python's lock leaves its neighbours no way to go on.
func TestNeighboursOfAHeldLockRunAgainWithoutBlame(t *testing.T) {
	t.Parallel()
	d := start(t, withFenceTimeout("100ms"))
	goOn, neighbours := d.neighbours(4)
	began := filepath.Join(t.TempDir(), "began")
	holder := d.submit(script(t, "import ctypes\ndef main(p, c):\n    open(p, 'w').close()\n    while True:\n        try:\n            ctypes.PyDLL(None).sleep(3600)\n        except BaseException:\n            pass # asked to stop before it slept\n"), fmt.Sprintf(`"params":%q`, began))
	d.until("the lock is about to be held", func() bool { _, err := os.Stat(began); return err == nil }) // not the import
	if code, answer := d.call("DELETE", "/v1/tasks/"+holder, ""); code/100 != 2 {
		t.Fatalf("DELETE: %d %v", code, answer)
	}
	if r := d.result(holder); r["status"] != "cancelled" {
		t.Fatalf("result: %v", r)
	}
	touch(t, goOn)
	for _, id := range neighbours {
		if r := d.result(id); r["status"] != "completed" || r["data"] != 2.0 {
			t.Errorf("neighbour: %v", r)
		}
	}
	if d.poolMetric("worker_deaths") != 0 || strings.Contains(d.log.String(), "poison") || strings.Contains(d.log.String(), "alone") {
		t.Errorf("somebody was blamed:\n%s", d.log)
	}
}

// untilDeaths returns once so many workers have died.
func (d *daemon) untilDeaths(n float64) {
	d.t.Helper()
	d.until(fmt.Sprintf("%v workers have died", n), func() bool { return d.poolMetric("worker_deaths") >= n })
}

const segfaults = "import ctypes\ndef main(p, c):\n    ctypes.string_at(0)\n"

func TestPoisonTaskIsNamed(t *testing.T) {
	t.Parallel()
	d := start(t, oneIOWorker)
	goOn, neighbours := d.neighbours(4)
	poison := d.submit(script(t, segfaults), `"params":0`)
	d.untilDeaths(1)
	// Suspects that run alone hold up nobody else, and a long one not the next.
	if r := d.run(script(t, doubles), `{"value":1}`, "io_bound"); r["status"] != "completed" {
		t.Errorf("another task: %v", r)
	}
	r := d.result(poison)
	touch(t, goOn)
	var all sync.WaitGroup
	for _, id := range neighbours {
		all.Go(func() {
			if r := d.result(id); r["status"] != "completed" {
				t.Errorf("neighbour: %v", r)
			}
		})
	}
	all.Wait()
	e, _ := r["error"].(map[string]any)
	if r["status"] != "failed" || e["code"] != "worker_lost" || !strings.Contains(fmt.Sprint(e["message"]), "SIGSEGV") {
		t.Errorf("poison: %v", r)
	}
	if log := d.log.String(); !strings.Contains(log, "poison: ") || !strings.Contains(log, poison) {
		t.Errorf("the log does not name it:\n%s", log)
	}
	if n := d.poolMetric("poisoned_tasks"); n != 1 {
		t.Errorf("%v poisoned tasks were counted", n)
	}
	if r := d.run(script(t, doubles), `{"value":1}`, "io_bound"); r["status"] != "completed" {
		t.Errorf("afterwards: %v", r)
	}
}

// quickToMiss is oneIOWorker where a worker that stands still is soon noticed and
// ended.
func quickToMiss() string {
	return strings.Replace(withFenceTimeout("100ms"), "limits {", "limits {\n  gil_stall = \"200ms\"", 1)
}

// freeze stops a process and returns once every thread of it stands still, which on a
// busy machine is some time after the signal.
func freeze(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for moving := true; moving && t.Context().Err() == nil; {
		moving = false
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, path := range threads {
			text, _ := os.ReadFile(path)
			_, after, _ := strings.Cut(string(text), ") ")
			moving = moving || !strings.HasPrefix(after, "T")
		}
	}
}

func TestTasksOfAStoppedWorkerRunInAnother(t *testing.T) {
	t.Parallel()
	d := start(t, quickToMiss())
	goOn, ids := d.neighbours(3)
	old := d.readyPID("io-0")
	ended := watchEnd(t, int(old))
	freeze(t, int(old))
	ids = append(ids, d.submit(script(t, doubles), `"params":{"value":1}`)) // into the stopped worker
	touch(t, goOn)
	ended()
	for _, id := range ids {
		if r := d.result(id); r["status"] != "completed" || r["worker"].(map[string]any)["pid"] == old {
			t.Errorf("result: %v", r)
		}
	}
	if log := d.log.String(); !strings.Contains(log, "worker does not answer") {
		t.Errorf("the log does not tell of it:\n%s", log)
	}
}
