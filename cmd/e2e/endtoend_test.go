package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const doubles = "def main(params, context):\n    print('doubling')\n    return {'value': params['value'] * 2}\n"

func TestATaskRunsEndToEnd(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	r := d.run(script(t, doubles), `{"value":21}`, "cpu_bound")
	worker, _ := r["worker"].(map[string]any)
	if r["status"] != "completed" || fmt.Sprint(r["data"]) != "map[value:42]" || r["stdout"] != "doubling\n" || worker["pool"] != "cpu" {
		t.Fatalf("result: %v", r)
	}
	if r := d.run(script(t, doubles), `{"value":1}`, "io_bound"); r["worker"].(map[string]any)["pool"] != "io" {
		t.Fatalf("an I/O-bound task ran elsewhere: %v", r)
	}
}

func TestBadInputIsAClearErrorAndNobodyElseNotices(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	good := script(t, doubles)
	body := func(path, rest string) string { return fmt.Sprintf(`{"script_path":%q%s}`, path, rest) }
	refused := []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"script missing", "POST", "/v1/tasks", body("/nonexistent/x.py", ""), 400, "script_not_found"},
		{"script is a folder", "POST", "/v1/tasks", body(t.TempDir(), ""), 400, "script_is_directory"},
		{"relative path", "POST", "/v1/tasks", body("x.py", ""), 400, "invalid_task"},
		{"params not JSON", "POST", "/v1/tasks", body(good, `,"params":{oops}`), 400, "invalid_json"},
		{"something after the task", "POST", "/v1/tasks", body(good, "") + "}", 400, "invalid_json"},
		{"unknown task type", "POST", "/v1/tasks", body(good, `,"task_type":"gpu_bound"`), 400, "invalid_task"},
		{"unknown field", "POST", "/v1/tasks", body(good, `,"parms":{}`), 400, "invalid_task"},
		{"unknown pool", "POST", "/v1/tasks", body(good, `,"pool":"gpu"`), 400, "no_such_pool"},
		{"body too large", "POST", "/v1/tasks", body(good, `,"params":"`+strings.Repeat("x", 70_000)+`"`), 413, "body_too_large"},
		{"unknown id", "GET", "/v1/tasks/01890000-0000-7000-8000-000000000000", "", 404, "task_not_found"},
		{"not an id", "GET", "/v1/tasks/banana", "", 404, "task_not_found"},
		{"unknown route", "GET", "/v1/banana", "", 404, "no_such_route"},
	}
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			if status, answer := d.call(c.method, c.path, c.body); status != c.status || answer["code"] != c.code || answer["detail"] == "" {
				t.Errorf("%d %v; want %d %s", status, answer, c.status, c.code)
			}
		})
	}
	failed := []struct{ name, script, code, traceback string }{
		{"syntax error", "def main(:\n", "script_syntax", "script.py"},
		{"no main", "x = 1\n", "no_entry_point", ""},
		{"exception", "def main(p, c):\n    return 1 / 0\n", "exception", "ZeroDivisionError"},
		{"exit", "import sys\ndef main(p, c):\n    sys.exit(3)\n", "exit", ""},
		{"not JSON", "def main(p, c):\n    return object()\n", "bad_return_value", ""},
	}
	for _, c := range failed {
		t.Run(c.name, func(t *testing.T) {
			r := d.run(script(t, c.script), "{}", "cpu_bound")
			e, _ := r["error"].(map[string]any)
			if r["status"] != "failed" || e["code"] != c.code || e["message"] == "" || !strings.Contains(fmt.Sprint(e["traceback"]), c.traceback) {
				t.Errorf("result: %v", r)
			}
		})
	}
	if r := d.run(good, `{"value":1}`, "cpu_bound"); r["status"] != "completed" {
		t.Fatalf("afterwards: %v", r)
	}
	_, status := d.call("GET", "/v1/status", "")
	for _, w := range status["components"].(map[string]any)["process_pool"].(map[string]any)["metrics"].(map[string]any)["workers"].([]any) {
		if w := w.(map[string]any); w["restarts"] != 0.0 || w["state"] != "ready" {
			t.Errorf("a worker was hurt: %v", w)
		}
	}
}

func TestPinnedWorkersRunWhereTheKernelSaysSo(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	path := script(t, "import os\ndef main(p, c):\n    return [sorted(os.sched_getaffinity(0)), c.core]\n")
	r := d.run(path, "{}", "cpu_bound")
	core := r["worker"].(map[string]any)["core"]
	if want := fmt.Sprintf("[[%v] %v]", core, core); fmt.Sprint(r["data"]) != want {
		t.Fatalf("the script saw %v, want %s", r["data"], want)
	}
}

func TestATaskWhoseWorkerDiesRunsAgainAndTheSecondDeathEndsIt(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	once := script(t, `import os
def main(params, context):
    if not os.path.exists(params):
        open(params, "w").close()
        os._exit(9)
    return context.attempt
`)
	mark, _ := json.Marshal(filepath.Join(t.TempDir(), "mark"))
	if r := d.run(once, string(mark), "cpu_bound"); r["status"] != "completed" || r["data"] != 2.0 {
		t.Fatalf("result: %v", r)
	}
	r := d.run(script(t, "import ctypes\ndef main(p, c):\n    ctypes.string_at(0)\n"), "{}", "cpu_bound")
	if e, _ := r["error"].(map[string]any); r["status"] != "failed" || e["code"] != "worker_lost" {
		t.Fatalf("result: %v", r)
	}
	if r := d.run(script(t, doubles), `{"value":1}`, "cpu_bound"); r["status"] != "completed" {
		t.Fatalf("afterwards: %v", r)
	}
}

func TestATaskThatDoesNotStopIsStoppedAndItsNeighboursComplete(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	stubborn := script(t, `def main(p, c):
    while True:
        try:
            while True: pass
        except BaseException: pass
`)
	neighbour := script(t, "import time\ndef main(p, c):\n    time.sleep(0.2)\n    return 'there'\n")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if r := d.run(neighbour, "{}", "io_bound"); r["data"] != "there" {
				t.Errorf("neighbour: %v", r)
			}
		})
	}
	code, r := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"task_type":"io_bound","timeout":"100ms"}`, stubborn))
	wg.Wait()
	if code != 200 || r["status"] != "timed_out" {
		t.Fatalf("%d %v", code, r)
	}
}

func TestACancelledTaskEnds(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	path := script(t, "def main(p, c):\n    while True: pass\n")
	_, view := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q}`, path))
	id := view["task_id"].(string)
	if code, answer := d.call("DELETE", "/v1/tasks/"+id, ""); code/100 != 2 {
		t.Fatalf("DELETE: %d %v", code, answer)
	}
	if r := d.result(id); r["status"] != "cancelled" {
		t.Fatalf("result: %v", r)
	}
}
