package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// readyPID returns the pid of the worker that takes the tasks of a seat; 0 if none does.
func (d *daemon) readyPID(id string) float64 {
	d.t.Helper()
	for _, w := range d.workers() {
		if w["id"] == id && w["state"] == "ready" {
			return w["pid"].(float64)
		}
	}
	return 0
}

// untilReady returns the pid of the seat's worker once there is one and it is not old.
func (d *daemon) untilReady(id string, old float64) (pid float64) {
	d.t.Helper()
	d.until(id+" has another worker", func() bool {
		pid = d.readyPID(id)
		return pid != 0 && pid != old
	})
	return pid
}

// tally counts tasks by the seat and the process that ran them.
type tally struct {
	mu   sync.Mutex
	pids map[any]map[any]int
}

// add counts one Result, and reports whether every one of so many seats has had so
// many processes by now.
func (c *tally) add(r map[string]any, seats, processes int) bool {
	worker := r["worker"].(map[string]any)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pids[worker["id"]] == nil {
		c.pids[worker["id"]] = map[any]int{}
	}
	c.pids[worker["id"]][worker["pid"]]++
	for _, pids := range c.pids {
		if len(pids) < processes {
			return false
		}
	}
	return len(c.pids) == seats
}

// Tasks come until every seat has exchanged its worker, however long the start of
// a process takes.
func TestRecyclingIsInvisible(t *testing.T) {
	t.Parallel()
	const most = 10
	d := start(t, strings.Replace(testConfig, "threads = 1\n", fmt.Sprintf("threads = 1\n  max_tasks = %d\n", most), 1))
	path := script(t, "import time\ndef main(p, c):\n    time.sleep(0.001)\n    return c.attempt\n")
	ran := tally{pids: map[any]map[any]int{}}
	var exchanged atomic.Bool
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for !exchanged.Load() && !t.Failed() {
				r := d.run(path, "{}", "cpu_bound")
				if r["status"] != "completed" || r["data"] != 1.0 {
					t.Errorf("result: %v", r)
					return
				}
				if ran.add(r, 2, 3) {
					exchanged.Store(true)
				}
			}
		})
	}
	all.Wait()
	for seat, pids := range ran.pids {
		for pid, tasks := range pids {
			if tasks < most && pid != d.readyPID(seat.(string)) {
				t.Errorf("%s: worker %v was exchanged after %d tasks: %v", seat, pid, tasks, pids)
			}
		}
	}
	if n := d.poolMetric("worker_deaths"); n != 0 {
		t.Errorf("%v deaths were counted", n)
	}
}

func TestAWorkerThatHasGrownIsExchanged(t *testing.T) {
	t.Parallel()
	d := start(t, strings.Replace(oneIOWorker, "threads = 8", "threads = 8\n  max_rss = \"150MiB\"", 1))
	first := d.readyPID("io-0")
	ended := watchEnd(t, int(first))
	grows := script(t, "kept = []\ndef main(p, c):\n    kept.append(bytearray(200 << 20))\n")
	if r := d.run(grows, "{}", "io_bound"); r["status"] != "completed" {
		t.Fatalf("result: %v", r)
	}
	ended()
	if pid := d.readyPID("io-0"); pid == first || pid == 0 {
		t.Errorf("worker %v after %v\n%s", pid, first, d.log)
	}
	if n := d.poolMetric("worker_deaths"); n != 0 {
		t.Errorf("%v deaths were counted", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	d := start(t, strings.Replace(oneIOWorker, "threads = 8", "threads = 8\n  memory = \"256MiB\"\n  nice = 3\n  ionice = \"idle\"\n  oom_score_adj = 500", 1))
	if limit := d.workers()[0]["memory_limit"]; limit != "rlimit_data" && limit != "cgroup" {
		t.Errorf("the limit is %v", limit)
	}
	r := d.run(script(t, "def main(p, c):\n    bytearray(1 << 30)\n"), "{}", "io_bound")
	if e, _ := r["error"].(map[string]any); r["status"] != "failed" || e["type"] != "MemoryError" && e["code"] != "worker_lost" {
		t.Errorf("result: %v", r)
	}
	r = d.run(script(t, "import os\ndef main(p, c):\n    return [os.nice(0), open('/proc/self/oom_score_adj').read().strip()]\n"), "{}", "io_bound")
	if fmt.Sprint(r["data"]) != "[3 500]" {
		t.Errorf("result: %v", r)
	}
}
