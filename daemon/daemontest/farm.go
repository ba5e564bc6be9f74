// Package daemontest runs an engine whose workers are fakes, in a bubble of virtual
// time, for the tests of the engine and of its fleet.
package daemontest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon"
	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/daemon/tracing"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// Farm is an engine whose workers are fakes, in a bubble of virtual time.
type Farm struct {
	*testing.T
	Engine   *daemon.Engine
	Launcher *fleettest.Launcher
	// Dir has the scripts of fleettest.
	Dir string
	// State has the journal; empty: there is none.
	State string
	lives int // that ended by a Crash
	Log   *Lines
	// Refuse is what later engines' launchers refuse, see fleettest.Launcher.
	Refuse func(supervisor.Spec) error
	// Spans takes the spans; nil: there are none.
	Spans *Spans
	// next is what a reload reads.
	next *config.Config
	end  sync.Once
	// ahead is how far the engine's clock on the wall is.
	ahead atomic.Int64
	// booted is when the machine was started, by the bubble's clock, for the boots-th time.
	booted time.Time
	boots  int
}

// Lines is a log.
type Lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Program is what the fakes are said to run: a small file, since a swap hashes it.
const Program = "/bin/sh"

// One is a configuration with one pool, of so many workers with so many threads.
func One(workers, threads int) *config.Config {
	c := config.Default()
	c.Journal.Sync = "off"
	c.Executors = []config.Executor{{Name: "fake", Command: Program}}
	c.Pools = []config.Pool{{
		Name: "p", Executor: "fake", TaskTypes: []string{"cpu_bound", "io_bound"},
		Workers: workers, MinWorkers: 1, Threads: threads, IdleTimeout: time.Minute, Window: config.DefaultWindow,
	}}
	return c
}

// On runs a test on a farm with this configuration.
func On(t *testing.T, c *config.Config, test func(f *Farm)) {
	t.Helper()
	on(t, c, "", nil, test)
}

// Traced is On with an engine that makes spans.
func Traced(t *testing.T, c *config.Config, test func(f *Farm)) {
	t.Helper()
	on(t, c, "", &Spans{}, test)
}

func on(t *testing.T, c *config.Config, state string, spans *Spans, test func(f *Farm)) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range append(fleettest.Scripts(), fleettest.CrashesLying) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := &Farm{T: t, Launcher: &fleettest.Launcher{Runs: &fleettest.Runs{}}, Dir: dir, State: state, Spans: spans, Log: &Lines{}, next: c,
			booted: time.Now().Add(-time.Hour)}
		f.Build(c)
		if err := f.Engine.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // for the spares
		defer f.check()
		test(f)
	})
}

// check ends the engine and looks at what is left of it.
func (f *Farm) check() {
	f.Stop()
	for _, mistake := range daemon.Mistakes() {
		if strings.Contains(f.Log.String(), mistake) {
			f.Errorf("the log tells of a mistake:\n%s", f.Log)
		}
	}
	if left := f.Launcher.Living(); len(left) > 0 {
		f.Errorf("these live on: %s", f.Launcher)
	}
}

// Build makes the engine.
func (f *Farm) Build(c *config.Config) {
	f.Helper()
	var sink tracing.Sink
	if f.Spans != nil {
		sink = f.Spans
	}
	e, err := daemon.New(daemon.Options{
		Config:      c,
		Traces:      sink,
		Private:     true,
		StateDir:    f.State,
		Launcher:    f.Launcher,
		Now:         f.Now,
		Uptime:      func() time.Duration { return time.Since(f.booted) },
		MachineBoot: fmt.Sprint("boot-", f.boots),
		Load:        func() (*config.Config, error) { return f.next, nil },
		Log:         hclog.New(&hclog.LoggerOptions{Output: f.Log, Level: hclog.Debug}),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Engine = e
}

// Now is what the engine's clock on the wall shows.
func (f *Farm) Now() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }

// SetClock sets the clock on the wall so far ahead of the bubble's.
func (f *Farm) SetClock(ahead time.Duration) { f.ahead.Store(int64(ahead)) }

// StopIn ends the engine; what runs has until ctx is done.
func (f *Farm) StopIn(ctx context.Context) { f.end.Do(func() { f.Engine.Stop(ctx) }) }

// Stop ends the engine; what runs is cut off.
func (f *Farm) Stop() {
	for _, p := range f.Launcher.All() {
		p.Thaw()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.StopIn(ctx)
}

// Pass lets time pass.
func (f *Farm) Pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// View returns a task as it stands.
func (f *Farm) View(id task.ID) task.View {
	f.Helper()
	v, err := f.Engine.View(f.Context(), Who(), id)
	if err != nil {
		f.Fatal(err)
	}
	return v
}

// Cancel cancels a task and returns once that is sure.
func (f *Farm) Cancel(id task.ID) error {
	answered := make(chan error, 1)
	f.Engine.Cancel(Who(), id, func(_ task.View, err error) { answered <- err })
	return <-answered
}

// Result waits for the end of a task.
func (f *Farm) Result(id task.ID) *task.Result {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 100*time.Hour)
	defer cancel()
	r, err := f.Engine.Result(ctx, Who(), id)
	if err != nil {
		f.Fatalf("%v: %+v\n%s", err, f.View(id), f.Log)
	}
	synctest.Wait()
	return r
}

// Ends waits for the end of tasks, all of which end so at their nth attempt.
func (f *Farm) Ends(how string, attempts int, ids ...task.ID) {
	f.Helper()
	for _, id := range ids {
		r := f.Result(id)
		got := r.Status.String()
		if r.Error != nil {
			got = r.Error.Code
		}
		if got != how || r.Attempts != attempts {
			f.Errorf("it ended as %s at attempt %d, not as %s at attempt %d: %+v\n%s", got, r.Attempts, how, attempts, r.Error, f.Log)
		}
	}
}

// Are tells that tasks are in this state now.
func (f *Farm) Are(status task.Status, ids ...task.ID) {
	f.Helper()
	for _, id := range ids {
		if v := f.View(id); v.Status != status {
			f.Errorf("it is %s, not %s\n%s", v.Status, status, f.Log)
		}
	}
}

// Workers reports the workers with this id, or all.
func (f *Farm) Workers(id string) (found []api.WorkerStatus) {
	for _, w := range f.Engine.Workers(f.Context()) {
		if id == "" || w.ID == id {
			found = append(found, w)
		}
	}
	return found
}

// Ready returns the process that takes the tasks of a seat.
func (f *Farm) Ready(id string) *fleettest.Process {
	f.Helper()
	for _, w := range f.Workers(id) {
		if w.State == "ready" {
			return f.Launcher.With(w.PID)
		}
	}
	f.Fatalf("no worker %s is ready: %s\n%s", id, f.Launcher, f.Log)
	return nil
}

// Figure returns one of process_pool's figures.
func (f *Farm) Figure(name string) int {
	return f.Engine.Status(f.Context()).Components["process_pool"].Metrics[name].(int)
}

// blameless: no worker has died, as far as anybody is told.
func (f *Farm) Blameless() {
	f.Helper()
	if n := f.Figure("worker_deaths"); n != 0 || strings.Contains(f.Log.String(), "-alone-") {
		f.Errorf("%d deaths were counted\n%s", n, f.Log)
	}
}

// Logged: the log says this.
func (f *Farm) Logged(text string) {
	f.Helper()
	if !strings.Contains(f.Log.String(), text) {
		f.Errorf("the log does not say %q:\n%s", text, f.Log)
	}
}

// States lists the workers of a seat, as "ready draining".
func (f *Farm) States(id string) string {
	var all []string
	for _, w := range f.Workers(id) {
		all = append(all, w.State)
	}
	return strings.Join(all, " ")
}

// Reload has the engine take this configuration.
func (f *Farm) Reload(c *config.Config) error {
	err := f.Offer(c)()
	synctest.Wait()
	return err
}

// Offer has the next reload, which it returns, take this configuration.
func (f *Farm) Offer(c *config.Config) (reload func() error) {
	f.next = c
	return func() error { return f.Engine.Reload(f.Context(), Who()) }
}

// IDs lists the seats that have a ready worker.
func (f *Farm) IDs() string {
	var all []string
	for _, w := range f.Workers("") {
		if w.State == "ready" {
			all = append(all, w.ID)
		}
	}
	return fmt.Sprint(all)
}

// AreOver tells that tasks have completed, the results of some of which may have had to make
// room.
func (f *Farm) AreOver(all []task.ID) {
	f.Helper()
	for _, id := range all {
		v, err := f.Engine.View(f.Context(), Who(), id)
		if !errors.Is(err, task.ErrEvicted) && (err != nil || v.Status != task.Completed) {
			f.Errorf("%s is %s, %v", id, v.Status, err)
		}
	}
}

// List returns a page of tasks.
func (f *Farm) List(ctx context.Context, who access.Identity, filter api.Filter, p api.Page) (l api.Listing, err error) {
	l.Next, err = f.Engine.List(ctx, who, filter, p, func(v task.View) bool {
		l.Tasks = append(l.Tasks, v)
		return true
	})
	return l, err
}

// Events yields the events of a task one by one.
func (f *Farm) Events(ctx context.Context, who access.Identity, id task.ID, after task.Cursor) (iter.Seq2[*task.Event, error], error) {
	pieces, err := f.Engine.Events(ctx, who, id, after)
	return func(yield func(*task.Event, error) bool) {
		for events, err := range pieces {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, ev := range events {
				if !yield(ev, nil) {
					return
				}
			}
		}
	}, err
}
