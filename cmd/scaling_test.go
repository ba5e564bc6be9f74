package cmd_test

import (
	"strings"
	"testing"
)

func TestAPoolGrowsWhileTasksWaitAndShrinksAfterwards(t *testing.T) {
	t.Parallel()
	d := start(t, strings.Replace(oneIOWorker, "workers = 1\n  threads = 8", "max_workers = 3\n  idle_timeout = \"1s\"\n  threads = 1", 1))
	if n := d.poolMetric("total_workers"); n != 1 {
		t.Errorf("%v workers at the start", n)
	}
	// Each but the first has to wait for a worker that is not there yet.
	goOn, ids := d.neighbours(3)
	if n := d.poolMetric("total_workers"); n != 3 {
		t.Errorf("%v workers for 3 tasks", n)
	}
	touch(t, goOn)
	for _, id := range ids {
		if r := d.result(id); r["status"] != "completed" || r["data"] != 1.0 {
			t.Errorf("result: %v", r)
		}
	}
	d.until("one worker is left", func() bool { return len(d.workers()) == 1 })
	if r := d.run(script(t, doubles), `{"value":1}`, "io_bound"); r["status"] != "completed" || d.poolMetric("worker_deaths") != 0 {
		t.Errorf("afterwards: %v", r)
	}
}
