package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// as returns d for another user, whom it lets connect.
func (d *daemon) as(uid int) *daemon {
	d.t.Helper()
	if os.Geteuid() != 0 {
		d.t.Skip("only root can be somebody else")
	}
	for path, mode := range map[string]os.FileMode{filepath.Dir(d.socket): 0o755, d.socket: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			d.t.Fatal(err)
		}
	}
	other := *d
	other.http = clientAs(d.t, uid, d.socket)
	return &other
}

const sleeps = `import time
def main(params, context):
    while not context.cancelled:
        time.sleep(0.02)
`

// workerIDs lists the workers of a pool that are not on their way out.
func (d *daemon) workerIDs(pool string) (ids []string) {
	d.t.Helper()
	_, answer := d.call("GET", "/v1/workers", "")
	for _, w := range answer["workers"].([]any) {
		if w := w.(map[string]any); w["pool"] == pool && w["state"] == "ready" {
			ids = append(ids, w["id"].(string))
		}
	}
	slices.Sort(ids)
	return ids
}

func TestACallerInAllSlotsKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	d := start(t, strings.Replace(testConfig, "workers = 2\n", "workers = 2\n  idle_timeout = \"2s\"\n", 1))
	greedy, second, third := d.as(1001), d.as(1002), d.as(1003)
	long, short := script(t, sleeps), script(t, doubles)
	var all []string
	for range 5 {
		all = append(all, greedy.post(long, `{}`, ""))
	}
	d.until("both slots are taken", func() bool {
		_, answer := d.call("GET", "/v1/tasks?status=running", "")
		return len(answer["tasks"].([]any)) == 2
	})
	began := time.Now()
	if r := second.run(short, `{"value":1}`, "cpu_bound"); r["status"] != "completed" {
		t.Errorf("the second: %v", r)
	}
	t.Logf("the first task behind others took %s", time.Since(began))
	held := second.post(long, `{}`, "")
	if r := third.run(short, `{"value":1}`, "cpu_bound"); r["status"] != "completed" {
		t.Errorf("the third: %v", r)
	}
	if ids := d.workerIDs("cpu"); fmt.Sprint(ids) != "[cpu-0 cpu-1 cpu-relief-0 cpu-relief-1]" {
		t.Errorf("ready are %v", ids)
	}
	for _, id := range append(all, held) {
		d.call("DELETE", "/v1/tasks/"+id, "")
	}
	d.until("the pool has its size again", func() bool { return fmt.Sprint(d.workerIDs("cpu")) == "[cpu-0 cpu-1]" })
	if r := d.run(short, `{"value":2}`, "cpu_bound"); r["status"] != "completed" {
		t.Errorf("in the end: %v", r)
	}
}

// One caller's tasks end their workers, one after the other: another's go on all the same.
func TestACallerWhoseTasksEndTheirWorkersKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	for kind, pool := range map[string]string{"cpu_bound": "cpu", "io_bound": "io"} {
		d := start(t, testConfig)
		greedy, second := d.as(1001), d.as(1002)
		killer, short := script(t, "import os\ndef main(params):\n    os.kill(os.getpid(), 9)\n"), script(t, doubles)
		tasks := inShort(20, 300)
		for range tasks {
			greedy.post(killer, `{}`, fmt.Sprintf(`,"task_type":%q`, kind))
		}
		var took []time.Duration
		for range tasks {
			once := time.Now()
			if r := second.run(short, `{"value":1}`, kind); r["status"] != "completed" {
				t.Errorf("the second: %v", r)
			}
			took = append(took, time.Since(once))
		}
		slices.Sort(took)
		t.Logf("%s: the median of %d round trips is %s, the longest %s; ready are %v", pool, len(took), took[len(took)/2], took[len(took)-1], d.workerIDs(pool))
		d.call("DELETE", "/v1/tasks?all=true", "")
	}
}
