package cmd_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// workerOf returns the pid of who takes the tasks of a seat.
func (d *daemon) readyPID(id string) float64 {
	d.t.Helper()
	for _, w := range d.workers() {
		if w["id"] == id && w["state"] == "ready" {
			return w["pid"].(float64)
		}
	}
	return 0
}

func TestRecyclingIsInvisible(t *testing.T) {
	d := start(t, strings.Replace(testConfig, "threads = 1\n", "threads = 1\n  max_tasks = 10\n", 1))
	path := script(t, "import os, time\ndef main(p, c):\n    time.sleep(0.01)\n    return [os.getpid(), c.attempt]\n")
	var mu sync.Mutex
	workers := map[any]int{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 15 {
				r := d.run(path, "{}", "cpu_bound")
				data, _ := r["data"].([]any)
				if r["status"] != "completed" || len(data) != 2 || data[1] != 1.0 {
					t.Errorf("result: %v", r)
					return
				}
				mu.Lock()
				workers[data[0]]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(workers) < 4 {
		t.Errorf("120 tasks had only these workers: %v\n%s", workers, d.log)
	}
	if n := d.poolMetric("worker_deaths"); n != 0 {
		t.Errorf("%v deaths were counted", n)
	}
}

func TestAWorkerThatHasGrownIsExchanged(t *testing.T) {
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
