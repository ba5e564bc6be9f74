package e2e_test

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// goroutines is how many the daemon has.
func (d *daemon) goroutines() int {
	d.t.Helper()
	resp, err := d.http.Get("http://cpulb/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^go_goroutines (\d+)$`).FindStringSubmatch(string(text))
	if found == nil {
		d.t.Fatalf("no go_goroutines in\n%s", text)
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

// killWorkers ends n ready workers with SIGKILL, each once its predecessor in the
// seat has been replaced, and returns how long after its end each death was logged.
func (d *daemon) killWorkers(n int, ids ...string) (noticed []time.Duration) {
	d.t.Helper()
	for i := range n {
		id := ids[i%len(ids)]
		pid := d.untilReady(id, 0)
		ended := watchEnd(d.t, int(pid))
		if err := syscall.Kill(int(pid), syscall.SIGKILL); err != nil {
			d.t.Fatal(err)
		}
		ended()
		at := time.Now()
		d.untilReady(id, pid)
		line := regexp.MustCompile(fmt.Sprintf(`(?m)^(\S+) .*worker died: .*pid=%v `, pid))
		var logged []string
		d.until(fmt.Sprintf("the death of %v is logged", pid), func() bool {
			logged = line.FindStringSubmatch(d.log.String())
			return logged != nil
		})
		said, err := time.Parse("2006-01-02T15:04:05.000Z", logged[1])
		if err != nil {
			d.t.Fatal(err)
		}
		noticed = append(noticed, said.Sub(at))
		d.log.Reset()
	}
	return noticed
}

// load runs tasks until end is closed, and returns how many there were. All of them
// complete, as workers with several tasks are killed and what runs again is alone.
func (d *daemon) load(path string, end <-chan struct{}) (done func() int64) {
	var n atomic.Int64
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for {
				r := d.run(path, "{}", "io_bound")
				if r["status"] != "completed" {
					d.t.Errorf("result: %v", r)
				}
				n.Add(1)
				select {
				case <-end:
					return
				default:
				}
			}
		})
	}
	return func() int64 { all.Wait(); return n.Load() }
}

// `make soak-deaths` runs it at full size.
func TestTheDaemonHoldsNoMoreAfterManyDeaths(t *testing.T) {
	t.Parallel()
	deaths := inShort(4, 8)
	if text := os.Getenv("CPULB_SOAK_DEATHS"); text != "" {
		var err error
		if deaths, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, strings.Replace(oneIOWorker, "workers = 1", "workers = 2", 1)+"results { max = 500 }\n")
	path := script(t, "import time\ndef main(p, c):\n    time.sleep(0.002)\n")
	soak := func(n int) (int64, []time.Duration) {
		end := make(chan struct{})
		done := d.load(path, end)
		noticed := d.killWorkers(n, "io-0", "io-1")
		close(end)
		return done(), noticed
	}
	quiet := func() (held, int) {
		d.until("the workers for suspects have ended", func() bool { return len(d.workers()) == 2 })
		d.http.CloseIdleConnections()
		return holds(t, d.own.PID()), d.goroutines()
	}
	soak(max(deaths/5, inShort(4, 8)))
	before, goroutines := quiet()
	tasks, noticed := soak(deaths)
	after, now := quiet()
	slices.Sort(noticed)
	t.Logf("%d deaths among %d tasks: RSS %+d bytes (%d), threads %d to %d, descriptors %d to %d, goroutines %d to %d; logged after %s at the median, %s at most",
		deaths, tasks, after.rssBytes-before.rssBytes, after.rssBytes, before.threads, after.threads, before.descriptors, after.descriptors,
		goroutines, now, noticed[len(noticed)/2], noticed[len(noticed)-1])
	if after.descriptors > before.descriptors+12 || now > goroutines+20 || after.rssBytes > before.rssBytes+24<<20 {
		t.Errorf("before %+v, after %+v; goroutines %d, then %d", before, after, goroutines, now)
	}
	if n := d.poolMetric("poisoned_tasks"); n != 0 {
		t.Errorf("%v tasks were taken for poison", n)
	}
}
