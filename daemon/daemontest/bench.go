package daemontest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"cpulb/daemon"
	"cpulb/daemon/access"
	"cpulb/daemon/config"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// Bench is an engine whose workers are fakes, in real time, for benchmarks: what it takes
// is the daemon's, and that of goroutines which stand for the workers.
type Bench struct {
	engine *daemon.Engine
	dir    string
	room   chan struct{}
	depth  int
	ended  *watcher
}

// NewBench starts one with this configuration, of which depth tasks are under way at a
// time.
func NewBench(b *testing.B, c *config.Config, depth int) *Bench {
	b.Helper()
	x := &Bench{dir: b.TempDir(), depth: depth, room: make(chan struct{}, depth)}
	if err := os.WriteFile(filepath.Join(x.dir, fleettest.Echo), nil, 0o600); err != nil {
		b.Fatal(err)
	}
	e, err := daemon.New(daemon.Options{
		Config: c, Private: true, Launcher: &fleettest.Launcher{}, Log: hclog.New(&hclog.LoggerOptions{Output: io.Discard}),
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Stop(context.Background()) })
	b.ReportAllocs()
	x.engine, x.ended = e, &watcher{room: x.room}
	return x
}

// Task submits a task that ends at once, when fewer than depth are under way.
func (x *Bench) Task(b *testing.B) {
	x.room <- struct{}{}
	x.engine.Submit(context.Background(), access.Identity{}, x.noop(), x.ended, func(_ task.View, err error) {
		if err != nil {
			b.Error(err)
		}
	})
}

// Batch submits n tasks that end at once as one batch, and reads their Results.
func (x *Bench) Batch(b *testing.B, n int) {
	tasks := make([]*task.Task, n)
	for i := range tasks {
		tasks[i] = x.noop()
	}
	accepted := make(chan task.ID, 1)
	x.engine.SubmitBatch(context.Background(), access.Identity{}, task.NewID(), tasks, func(batch task.ID, _ []task.ID, errs []error) {
		if err := errors.Join(errs...); err != nil {
			b.Error(err)
		}
		accepted <- batch
	})
	results, err := x.engine.BatchResults(context.Background(), access.Identity{}, <-accepted)
	if err != nil {
		b.Fatal(err)
	}
	seen := 0
	for some, err := range results {
		if err != nil {
			b.Fatal(err)
		}
		seen += len(some)
	}
	if seen != n {
		b.Fatalf("%d results of %d", seen, n)
	}
}

// Settle waits until none is under way.
func (x *Bench) Settle() {
	for range x.depth {
		x.room <- struct{}{}
	}
	for range x.depth {
		<-x.room
	}
}

func (x *Bench) noop() *task.Task {
	return &task.Task{ID: task.NewID(), ScriptPath: filepath.Join(x.dir, fleettest.Echo), Function: task.DefaultFunction, Params: []byte("{}"),
		Type: task.CPUBound, Priority: task.DefaultPriority}
}

// watcher gives the room of a task back when it has ended.
type watcher struct {
	task.Heard
	room <-chan struct{}
}

// PassOn implements task.Watcher.
func (w *watcher) PassOn() {
	w.Each(func(ev *task.Event) {
		if ev.Kind == task.EventResult {
			<-w.room
		}
	})
}

// Verbose implements task.Watcher.
func (*watcher) Verbose() bool { return false }

// Outlet implements task.Watcher.
func (*watcher) Outlet() task.Outlet { return nil }
