package cmd_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// quickToMiss is oneIOWorker where a worker that stands still is soon noticed and
// ended.
func quickToMiss() string {
	return strings.Replace(withFenceTimeout("100ms"), "limits {", "limits {\n  gil_stall = \"200ms\"", 1)
}

func TestTasksOfAStoppedWorkerRunInAnother(t *testing.T) {
	t.Parallel()
	d := start(t, quickToMiss())
	goOn, ids := d.neighbours(3)
	old := d.readyPID("io-0")
	ended := watchEnd(t, int(old))
	if err := unix.Kill(int(old), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
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

// A task that stops its own process does not go on doing so.
func TestATaskThatStopsItsWorkerIsPoison(t *testing.T) {
	t.Parallel()
	d := start(t, quickToMiss())
	stops := d.submit(script(t, "import os, signal, time\ndef main(p, c):\n    os.kill(os.getpid(), signal.SIGSTOP)\n    time.sleep(3600)\n"), `"params":0`)
	r := d.result(stops)
	if e, _ := r["error"].(map[string]any); r["status"] != "failed" || e["code"] != "worker_lost" {
		t.Errorf("result: %v", r)
	}
	if r := d.run(script(t, doubles), `{"value":1}`, "io_bound"); r["status"] != "completed" || fmt.Sprint(d.poolMetric("poisoned_tasks")) != "1" {
		t.Errorf("afterwards: %v", r)
	}
}

// A worker that leaves is listed as it runs, not as its successor does.
func TestALeavingWorkerIsListedOnItsOwnCore(t *testing.T) {
	t.Parallel()
	var usable unix.CPUSet
	if err := unix.SchedGetaffinity(0, &usable); err != nil {
		t.Fatal(err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < min(2, usable.Count()); cpu++ {
		if usable.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	if len(cpus) < 2 {
		t.Skip("there is one CPU")
	}
	on := func(cpu, threads int) string {
		return strings.Replace(oneIOWorker, "threads = 8", fmt.Sprintf("threads = %d\n  cores = \"%d\"", threads, cpu), 1)
	}
	d := start(t, on(cpus[0], 8))
	goOn, ids := d.neighbours(1)
	if log := d.reload(on(cpus[1], 4)); !strings.Contains(log, "reloaded in every worker") {
		t.Fatal(log)
	}
	var seen []string
	for _, w := range d.workers() {
		seen = append(seen, fmt.Sprint(w["state"], " on ", w["core"], " with ", w["slots"]))
	}
	want := []string{fmt.Sprint("ready on ", cpus[1], " with 4"), fmt.Sprint("draining on ", cpus[0], " with 8")}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", seen, want)
	}
	touch(t, goOn)
	if r := d.result(ids[0]); r["status"] != "completed" {
		t.Errorf("result: %v", r)
	}
}
