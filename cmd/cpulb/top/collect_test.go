package top_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/cmd/cpulb/top"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

var errGone = errors.New("no daemon answers on /s: is cpulbd running?")

// fake is a daemon that answers as it is told.
type fake struct {
	mu    sync.Mutex
	err   error
	pid   int
	up    float64
	done  uint64
	tasks []task.View
	since time.Time // that was asked for last
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) Status(context.Context) (json.RawMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up++
	return json.RawMessage(fmt.Sprintf(`{"engine":{"is_running":true,"version":"1.2.3","pid":%d,"uptime_seconds":%g,"tasks":{"running":2}},"components":{
		"input_queue":{"health":"healthy","metrics":{"size":5,"capacity":10,"bytes":7,"blocked":0,"total_put":%d,"total_dropped":0,"total_expired":0,"callers":[]}},
		"output_queue":{"health":"healthy","metrics":{"total_put":%d}},
		"journal":{"health":"degraded","reason":"the last commit took 2s","metrics":{"sync":"group"}},
		"process_pool":{"health":"healthy","metrics":{"workers":[
			{"id":"cpu-0","pool":"cpu","pid":100,"core":0,"state":"ready","slots":1,"slots_busy":1,"tasks_done":%d},
			{"id":"io-0","pool":"io","pid":101,"core":-1,"state":"starting","slots":8}]}}}}`, f.pid, f.up, 2*f.done, f.done, f.done)), f.err
}

func (f *fake) List(_ context.Context, filter api.Filter) iter.Seq2[task.View, error] {
	return func(yield func(task.View, error) bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !filter.Since.IsZero() {
			f.since = filter.Since
		}
		for _, v := range f.tasks {
			if slices.Contains(filter.Statuses, v.Status) && !yield(v, f.err) {
				return
			}
		}
	}
}

func (f *fake) Newest(ctx context.Context, filter api.Filter) iter.Seq2[task.View, error] {
	return func(yield func(task.View, error) bool) {
		var all []task.View
		for v := range f.List(ctx, filter) {
			if v.SubmittedAt.IsZero() || !v.SubmittedAt.Before(filter.Since) {
				all = append(all, v)
			}
		}
		for _, v := range slices.Backward(all) {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (f *fake) Task(_ context.Context, id task.ID) (task.View, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.tasks {
		if v.ID == id {
			return v, f.err
		}
	}
	return task.View{}, task.ErrNotFound
}

// view is a task that began so long ago, and has taken so long if it has ended.
func view(script string, status task.Status, ago, took time.Duration) task.View {
	began := time.Now().Add(-ago)
	v := task.View{ID: task.NewID(), Status: status, ScriptPath: script, Function: "main", StartedAt: &began, Worker: &task.Worker{ID: "cpu-0", PID: 100}}
	if status != task.Running {
		ended := began.Add(took)
		v.FinishedAt = &ended
	}
	return v
}

func next(t *testing.T, c *top.Collector) top.Snapshot {
	t.Helper()
	s, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRatesAreOfTwoLooksAtOneDaemon(t *testing.T) {
	f := &fake{pid: 1, done: 10}
	c := top.New(f)
	if s := next(t, c); s.Rates != nil || s.Workers[0].DonePerSecond != nil {
		t.Errorf("the first look has rates: %+v", s.Rates)
	}
	f.set(func(f *fake) { f.done = 110 })
	s := next(t, c)
	if s.Rates == nil || s.Rates.Ended != 100 || s.Rates.Submitted != 200 || *s.Workers[0].DonePerSecond != 100 || s.Workers[1].DonePerSecond == nil {
		t.Errorf("%+v", s.Rates)
	}
	f.set(func(f *fake) { f.pid, f.up, f.done = 2, 0, 3 })
	if s := next(t, c); s.Rates != nil || s.Daemon.Restarts != 1 {
		t.Errorf("after a restart: %+v %+v", s.Rates, s.Daemon)
	}
	if s := next(t, c); s.Rates == nil || s.Rates.Ended != 0 || s.Daemon.Restarts != 1 {
		t.Errorf("then: %+v %+v", s.Rates, s.Daemon)
	}
}

func TestADaemonThatIsGoneLeavesItsFigures(t *testing.T) {
	f := &fake{pid: 1, err: errGone}
	c := top.New(f)
	if s, err := c.Next(t.Context()); !errors.Is(err, errGone) || s.Error != errGone.Error() || s.Daemon.PID != 0 {
		t.Errorf("%+v %v", s, err)
	}
	f.set(func(f *fake) { f.err = nil })
	next(t, c)
	f.set(func(f *fake) { f.err = errGone })
	if s, err := c.Next(t.Context()); err == nil || s.Error == "" || s.Queue.Size != 5 || s.Rates != nil {
		t.Errorf("%+v %v", s, err)
	}
	f.set(func(f *fake) { f.err = nil })
	if s := next(t, c); s.Error != "" {
		t.Errorf("it is back: %+v", s)
	}
}

func TestAScriptThatTakesLongIsShownWhenItHasEnded(t *testing.T) {
	slow, lost := view("/slow.py", task.Running, time.Hour, 0), view("/lost.py", task.Running, time.Hour, 0)
	slow.SubmittedAt, lost.SubmittedAt = *slow.StartedAt, *lost.StartedAt
	f := &fake{pid: 1, tasks: []task.View{slow, lost}}
	for range api.MaxPage + 1 {
		f.tasks = append(f.tasks, view("/quick.py", task.Completed, time.Second, time.Second))
	}
	c := top.New(f)
	next(t, c)
	f.set(func(f *fake) {
		ended := time.Now()
		f.tasks[0].Status, f.tasks[0].FinishedAt = task.Completed, &ended
		f.tasks = slices.Delete(f.tasks, 1, 2) // it is evicted
	})
	for range 2 {
		s := next(t, c)
		if x := s.Scripts[0]; len(s.Scripts) != 2 || x.Script != "/slow.py" || x.Ended != 1 || x.Running != 0 || x.LongestSeconds < 3599 || s.Sample.Tasks != api.MaxPage+1 {
			t.Errorf("%+v of %+v", s.Scripts, s.Sample)
		}
	}
}

func TestASnapshotSaysWhatRunsAndWhatIsSlow(t *testing.T) {
	f := &fake{pid: 1, tasks: []task.View{
		view("/long.py", task.Running, time.Hour, 0),
		view("/short.py", task.Running, time.Second, 0),
		view("/short.py", task.Completed, 30*time.Second, 2*time.Second),
		view("/short.py", task.Failed, 30*time.Second, 4*time.Second),
		view("/reset.py", task.TimedOut, 0, -time.Hour),
		{ID: task.NewID(), Status: task.Failed, ScriptPath: "/expired.py"},
	}}
	s := next(t, top.New(f))
	var all []string
	for _, x := range s.Scripts {
		all = append(all, fmt.Sprintf("%s %d/%d/%d %.0f %.0f", x.Script, x.Running, x.Ended, x.Failed, x.MeanSeconds, x.LongestSeconds))
	}
	if got := strings.Join(all, ", "); got != "/long.py 1/0/0 0 3600, /short.py 1/2/1 3 4, /reset.py 0/1/1 0 0" {
		t.Error(got)
	}
	if r := s.Workers[0].Runs; r == nil || r.Script != "/long.py" || s.Workers[1].Runs != nil {
		t.Errorf("%+v", r)
	}
	if !s.Sample.Whole || s.Sample.Tasks != 4 || !f.since.Equal(s.At.Add(-15*time.Minute)) {
		t.Errorf("%+v, since %s", s.Sample, f.since)
	}
	if s.Slots != (top.Slots{Busy: 1, Total: 1}) || len(s.Pools) != 2 || len(s.Troubles) != 1 {
		t.Errorf("%+v %+v %+v", s.Slots, s.Pools, s.Troubles)
	}
	for range api.MaxPage {
		f.tasks = append(f.tasks, view("/many.py", task.Completed, time.Second, time.Second))
	}
	if s := next(t, top.New(f)); s.Sample.Whole || s.Sample.Tasks != api.MaxPage || !strings.Contains(top.Frame(&s, top.Look{}), "there are more") {
		t.Errorf("%+v", s.Sample)
	}
}
