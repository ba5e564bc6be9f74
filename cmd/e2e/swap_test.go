package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// copies makes copies of this test's program, each of which is another executor.
func copies(t *testing.T, names ...string) (dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = os.MkdirTemp("", "cpulb-swapped"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range names {
		in, err := os.Open(self)
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE, 0o700)
		if err == nil {
			_, err = io.Copy(out, in)
		}
		if err = errors.Join(err, in.Close(), out.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// swapLoad keeps an executor's pools full, and looks at every Result.
type swapLoad struct {
	t      *testing.T
	d      *daemon
	client *client.Client
	dir    string // of the programs
	record string
	script string

	stop   atomic.Bool
	all    sync.WaitGroup
	ended  atomic.Int64
	failed atomic.Int64
	again  atomic.Int64 // took more than one attempt
	wrong  atomic.Int64 // ended in any other way
}

func newSwapLoad(t *testing.T) *swapLoad {
	dir := copies(t, sound, sound2, fails, slower, dies, hangs)
	l := &swapLoad{t: t, dir: dir, record: filepath.Join(dir, "record"), script: filepath.Join(dir, "script")}
	if err := os.WriteFile(l.script, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.d = start(t, fmt.Sprintf(`
executor "x" {
  command = %q
  env     = { %s = %q }
}
pool "cpu" {
  executor   = "x"
  task_types = ["cpu_bound"]
  workers    = 2
}
pool "io" {
  executor   = "x"
  task_types = ["io_bound"]
  workers    = 1
  threads    = 4
  pin        = false
}
limits {
  start_timeout = "1m"
  fence_timeout = "0s"
}
`, l.at(sound), recordVariable, l.record))
	l.client = client.New(l.d.socket)
	t.Cleanup(l.client.Close)
	for i := range 16 {
		l.all.Go(func() { l.run(i) })
	}
	t.Cleanup(func() { l.stop.Store(true) })
	return l
}

func (l *swapLoad) at(name string) string { return filepath.Join(l.dir, name) }

// run has one task after the other run.
func (l *swapLoad) run(i int) {
	s, err := l.client.OpenStream(l.t.Context())
	if err != nil {
		l.t.Error(err)
		return
	}
	defer s.Close()
	kind := task.CPUBound
	if i%4 == 0 {
		kind = task.IOBound
	}
	for !l.stop.Load() {
		r, err := s.Do(l.t.Context(), &task.Task{ID: task.NewID(), ScriptPath: l.script, Function: "main", Params: []byte("1"), Type: kind,
			Priority: task.DefaultPriority})
		switch {
		case err != nil:
			l.t.Error(err)
			return
		case r.Attempts > 1:
			l.again.Add(1)
		}
		switch {
		case r.Status == task.Failed && r.Error.Code == "exception":
			l.failed.Add(1)
		case r.Status != task.Completed:
			l.wrong.Add(1)
			l.t.Errorf("%s %+v", r.Status, r.Error)
		}
		l.ended.Add(1)
	}
}

// pass waits until so many more tasks have ended, and returns how many ended in a second.
func (l *swapLoad) pass(n int64) float64 {
	l.t.Helper()
	began, from := time.Now(), l.ended.Load()
	l.d.until("tasks end", func() bool { return l.ended.Load()-from >= n || l.t.Failed() })
	return float64(l.ended.Load()-from) / time.Since(began).Seconds()
}

// swap swaps, and waits for the end.
func (l *swapLoad) swap(name, share string, d time.Duration) (api.SwapStatus, error) {
	l.t.Helper()
	long := task.Duration(d)
	status, err := l.client.Swap(l.t.Context(), "x", api.SwapRequest{Command: l.at(name), Canary: share, For: &long}, patience)
	if err != nil {
		var all []api.ExecutorStatus
		all, listed := l.client.Executors(l.t.Context())
		if listed != nil || len(all) != 1 || all[0].Swap == nil {
			l.t.Fatalf("%v: %v: %+v", err, listed, all)
		}
		status = all[0]
	}
	return *status.Swap, err
}

// settled ends the load, and returns how often each attempt stands in the record.
func (l *swapLoad) settled() map[string]int {
	l.t.Helper()
	l.stop.Store(true)
	l.all.Wait()
	f, err := os.Open(l.record)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	counts := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		id, _, _ := strings.Cut(lines.Text(), " ")
		counts[id]++
	}
	return counts
}

// blamed returns how many workers and tasks anybody was blamed for.
func (l *swapLoad) blamed() int {
	l.t.Helper()
	text, err := l.client.Status(l.t.Context())
	var status struct {
		Components map[string]struct{ Metrics map[string]any }
	}
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	m := status.Components["process_pool"].Metrics
	return int(m["worker_deaths"].(float64) + m["unfit_workers"].(float64) + m["poisoned_tasks"].(float64))
}

// Among tasks at full load an executor's program is swapped and rolled back, again and again:
// none is lost, blamed or rerun, and each has run once. `make soak-swap` runs it at full size.
func TestASwapUnderLoadLosesBlamesAndRerunsNothing(t *testing.T) {
	tasks, trial := int64(2_000), time.Second
	if text := os.Getenv("CPULB_SOAK_SWAP"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		tasks, trial = n, 2*time.Second
	}
	l := newSwapLoad(t)
	before := l.pass(tasks / 20)
	began, from, swaps := time.Now(), l.ended.Load(), 0
	for round := 0; round == 0 || l.ended.Load() < tasks-tasks/20 && !t.Failed(); round++ {
		share := "20%"
		if round%2 == 1 { // without a canary
			share = "0%"
		}
		s, err := l.swap(sound2, share, trial)
		if err != nil || s.State != api.SwapDone || !s.Persists {
			t.Fatalf("%+v %v\n%s", s, err, l.d.log)
		}
		if share != "0%" && (s.Canary.Tasks == 0 || float64(s.Canary.Tasks) > 0.2*float64(s.Canary.Tasks+s.Canary.Others)) {
			t.Errorf("%+v", s.Canary)
		}
		status, err := l.client.Rollback(t.Context(), "x", patience)
		if err != nil || status.Command != l.at(sound) {
			t.Fatalf("%+v %v\n%s", status, err, l.d.log)
		}
		swaps += 2
	}
	during := float64(l.ended.Load()-from) / time.Since(began).Seconds()
	after := l.pass(tasks / 20)
	counts, blamed := l.settled(), l.blamed()
	twice := 0
	for _, n := range counts {
		if n != 1 {
			twice++
		}
	}
	ended := l.ended.Load()
	t.Logf("%d tasks, %d swaps and rollbacks; rerun %d, run twice %d, lost %d, blamed %d, failed %d; tasks a second before %.0f, during %.0f, after %.0f",
		ended, swaps, l.again.Load(), twice, ended-int64(len(counts)), blamed, l.failed.Load()+l.wrong.Load(), before, during, after)
	if l.again.Load()+l.failed.Load()+l.wrong.Load() != 0 || twice != 0 || blamed != 0 || int64(len(counts)) != ended {
		t.Errorf("something was lost, blamed or run again\n%s", l.d.log)
	}
}

// A program that is worse goes back by itself within its share and its time, and costs nobody
// anything but what it did to its share.
func TestAWorseProgramGoesBackUnderLoad(t *testing.T) {
	l := newSwapLoad(t)
	worse := []struct{ name, why string }{{fails, "more failures"}, {slower, "slower"}, {dies, "died: exit status 3"}, {hangs, "did not get ready in time"}}
	if testing.Short() {
		worse = worse[:1]
	}
	for _, c := range worse {
		ended, failed, again := l.ended.Load(), l.failed.Load(), l.again.Load()
		began := time.Now()
		s, err := l.swap(c.name, "20%", time.Minute)
		var p *api.Problem
		if !errors.As(err, &p) || p.Code != "swap_failed" || s.State != api.SwapWentBack || !strings.Contains(s.Why, c.why) {
			t.Fatalf("%s: %v: %+v\n%s", c.name, err, s, l.d.log)
		}
		took := time.Since(began).Round(time.Millisecond)
		l.pass(50) // with the old one
		ended, failed, again = l.ended.Load()-ended, l.failed.Load()-failed, l.again.Load()-again
		had := 0
		if s.Canary != nil {
			had = s.Canary.Tasks
		}
		t.Logf("%s went back after %s: of %d tasks it had %d; %d failed, %d ran again: %s", c.name, took, ended, had, failed, again, s.Why)
		if float64(had) > 0.2*float64(ended) || (failed > 0) != (c.name == fails) || failed > int64(had) {
			t.Errorf("%s: of %d tasks it had %d, and %d failed", c.name, ended, had, failed)
		}
		if most := int64(0); c.name == dies {
			if most = 4; again > most { // those that ran in it
				t.Errorf("%d tasks ran again", again)
			}
		} else if again > most {
			t.Errorf("%s: %d tasks ran again", c.name, again)
		}
	}
	l.settled()
	if n := l.blamed(); n != 0 {
		t.Errorf("%d were blamed\n%s", n, l.d.log)
	}
	all, err := l.client.Executors(t.Context())
	if err != nil || all[0].Command != l.at(sound) {
		t.Errorf("%+v %v", all, err)
	}
}
