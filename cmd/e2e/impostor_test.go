package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpulb/plugins/executortest/impostor"
)

// impostors is a daemon of three pools, of which the executor of the first is wrong when a task
// asks it to be, and that of the last from its start.
func impostors(t *testing.T) (d *daemon, program string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := "limits {\n gil_stall = \"1s\"\n cancel_grace = \"200ms\"\n}\n"
	for pool, way := range map[string]impostor.Way{"wrong": impostor.Sound, "others": impostor.Sound, "babbles": impostor.Babbles} {
		text += fmt.Sprintf("executor %q {\n command = %q\n env = { %s = %q }\n}\n", pool, self, impostor.Env, way)
		text += fmt.Sprintf("pool %q {\n executor = %q\n task_types = [\"io_bound\"]\n workers = 1\n threads = 1\n}\n", pool, pool)
	}
	return start(t, text), self
}

// Whatever an executor says on a slot, its task ends, others' tasks go on, also in its pool, and
// the log and the status say what was wrong and which program it was.
func TestAnExecutorThatMisbehavesCostsItsWorkerAndNobodyElse(t *testing.T) {
	t.Parallel()
	d, program := impostors(t)
	dir := t.TempDir()
	in := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	echo := in(impostor.Echo)
	goesOn := func(pool, after string) {
		t.Helper()
		if r := d.result(d.submit(echo, fmt.Sprintf(`"params":7,"pool":%q`, pool))); r["status"] != "completed" || r["data"] != 7.0 {
			t.Fatalf("%s: another's task in %s: %v\n%s", after, pool, r, d.log)
		}
	}
	goesOn("others", "before")
	others := d.readyPID("others-0")
	waits := d.submit(echo, `"params":7,"pool":"babbles"`)
	ends := map[string]string{"answers_twice": "completed", "stops_reading": "completed", "is_nowhere_near": "completed",
		"begins_and_waits": "timed_out", "floods": "timed_out", "skips": "completed", "needs_a_thread": "worker_lost"}
	scripts := impostor.Scripts()
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range scripts {
			if !yield(name) {
				return
			}
		}
	}) {
		says := scripts[name]
		d.log.Reset()
		timeout := "10m"
		if ends[name] == "timed_out" {
			timeout = "300ms" // nothing else ends it
		}
		id := d.submit(in(name), fmt.Sprintf(`"params":1,"pool":"wrong","on_worker_lost":"fail","timeout":%q`, timeout))
		goesOn("others", name)
		r := d.result(id)
		got, want := r["status"], ends[name]
		if e, ok := r["error"].(map[string]any); ok {
			got = e["code"]
		}
		if want == "" {
			want = "worker_lost"
		}
		if got != want {
			t.Errorf("%s: it has ended with %v, not with %s: %v\n%s", name, got, want, r, d.log)
		}
		goesOn("wrong", name)
		d.until(name+": the log tells of it", func() bool { return strings.Contains(d.log.String(), says) })
		if says != "" && !strings.Contains(d.log.String(), "command="+program) {
			t.Errorf("%s: the log does not name the program:\n%s", name, d.log)
		}
	}
	for _, ev := range d.follow(d.submit(in("is_nowhere_near"), `"params":1,"pool":"wrong"`), "0.0", "") {
		if f, ok := ev["fraction"].(float64); ev["event"] == "progress" && (!ok || f < 0 || f > 1) {
			t.Errorf("a client is told %v", ev)
		}
	}
	d.until("the status tells of a crash loop", func() bool {
		return strings.Contains(fmt.Sprint(d.degraded("babbles-0")), "crash loop: the daemon ended it, slot 0: not a frame of the slot protocol")
	})
	if says := d.degraded("babbles-0"); !strings.Contains(fmt.Sprint(says), program) {
		t.Errorf("it does not name the program: %v", says)
	}
	_, status := d.call("GET", "/v1/status", "")
	if pool := status["components"].(map[string]any)["process_pool"].(map[string]any); pool["health"] != "degraded" || !strings.Contains(fmt.Sprint(pool["reason"]), program) {
		t.Errorf("the pool is %v: %v", pool["health"], pool["reason"])
	}
	if d.readyPID("others-0") != others {
		t.Error("the worker of another pool was replaced")
	}
	if _, view := d.call("GET", "/v1/tasks/"+waits, ""); view["status"] == "completed" {
		t.Errorf("a pool that can't run tasks has run one: %v", view)
	}
}

// degraded is what the daemon says of a worker.
func (d *daemon) degraded(id string) any {
	d.t.Helper()
	for _, w := range d.workers() {
		if w["id"] == id && w["degraded"] != nil {
			return w["degraded"]
		}
	}
	return nil
}
