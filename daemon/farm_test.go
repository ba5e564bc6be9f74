package daemon_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon"
	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// farm is an engine whose workers are fakes, in a bubble of virtual time.
type farm struct {
	*testing.T
	engine   *daemon.Engine
	launcher *fleettest.Launcher
	dir      string
	log      *lines
	// next is what a reload reads.
	next *config.Config
	end  sync.Once
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// one is a configuration with one pool, of so many workers with so many threads.
func one(workers, threads int) *config.Config {
	c := config.Default()
	c.Journal.Sync = "off"
	c.Executors = []config.Executor{{Name: "fake", Command: os.Args[0]}}
	c.Pools = []config.Pool{{Name: "p", Executor: "fake", TaskTypes: []string{"cpu_bound", "io_bound"}, Workers: workers, MinWorkers: 1, Threads: threads, IdleTimeout: time.Minute}}
	return c
}

// onFarm runs a test on a farm with this configuration.
func onFarm(t *testing.T, c *config.Config, test func(f *farm)) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range fleettest.Scripts() {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := &farm{T: t, launcher: &fleettest.Launcher{}, dir: dir, log: &lines{}, next: c}
		f.build(c)
		if err := f.engine.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // for the spares
		defer f.check()
		test(f)
	})
}

// check ends the engine and looks at what is left of it.
func (f *farm) check() {
	f.stop()
	if strings.Contains(f.log.String(), "that it can't") {
		f.Errorf("the log tells of a mistake:\n%s", f.log)
	}
	if left := f.launcher.Living(); len(left) > 0 {
		f.Errorf("these live on: %s", f.launcher)
	}
}

func (f *farm) build(c *config.Config) {
	f.Helper()
	var err error
	f.engine, err = daemon.New(daemon.Options{Config: c, Private: true, Launcher: f.launcher, Load: func() (*config.Config, error) { return f.next, nil },
		Log: hclog.New(&hclog.LoggerOptions{Output: f.log, Level: hclog.Debug})})
	if err != nil {
		f.Fatal(err)
	}
}

// stopIn ends the engine; what runs has until ctx is done.
func (f *farm) stopIn(ctx context.Context) { f.end.Do(func() { f.engine.Stop(ctx) }) }

// stop ends the engine; what runs is cut off.
func (f *farm) stop() {
	for _, p := range f.launcher.All() {
		p.Thaw()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.stopIn(ctx)
}

// who is root, who may do everything.
var who = access.Identity{}

// option changes a task before it is submitted.
type option func(*task.Task)

func within(d time.Duration) option { return func(t *task.Task) { t.Timeout = task.Duration(d) } }
func params(text string) option     { return func(t *task.Task) { t.Params = []byte(text) } }
func onceOnly(t *task.Task)         { t.Extra.OnWorkerLost = task.Fail }
func retries(n int) option {
	return func(t *task.Task) { t.Extra.MaxRetries, t.Extra.RetryBackoff = n, task.Duration(time.Second) }
}

// submit hands in a task of this script, and returns once all has come to rest.
func (f *farm) submit(script string, options ...option) task.ID {
	f.Helper()
	k := &task.Task{ID: task.NewID(), ScriptPath: filepath.Join(f.dir, script), Function: "main", Params: []byte("1h"), Type: task.IOBound, Priority: task.DefaultPriority, Extra: &task.Extras{}}
	for _, change := range options {
		change(k)
	}
	var answer error
	f.engine.Submit(who, k, nil, func(_ task.View, err error) { answer = err })
	synctest.Wait()
	if answer != nil {
		f.Fatal(answer)
	}
	return k.ID
}

// many hands in n tasks.
func (f *farm) many(n int, script string, options ...option) (ids []task.ID) {
	f.Helper()
	for range n {
		ids = append(ids, f.submit(script, options...))
	}
	return ids
}

// pass lets time pass.
func (f *farm) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (f *farm) view(id task.ID) task.View {
	f.Helper()
	v, err := f.engine.View(who, id)
	if err != nil {
		f.Fatal(err)
	}
	return v
}

// result waits for the end of a task.
func (f *farm) result(id task.ID) *task.Result {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 100*time.Hour)
	defer cancel()
	r, err := f.engine.Result(ctx, who, id)
	if err != nil {
		f.Fatalf("%v: %+v\n%s", err, f.view(id), f.log)
	}
	synctest.Wait()
	return r
}

// ends waits for the end of tasks, all of which end so at their nth attempt.
func (f *farm) ends(how string, attempts int, ids ...task.ID) {
	f.Helper()
	for _, id := range ids {
		r := f.result(id)
		got := r.Status.String()
		if r.Error != nil {
			got = r.Error.Code
		}
		if got != how || r.Attempts != attempts {
			f.Errorf("it ended as %s at attempt %d, not as %s at attempt %d: %+v\n%s", got, r.Attempts, how, attempts, r.Error, f.log)
		}
	}
}

// are tells that tasks are in this state now.
func (f *farm) are(status task.Status, ids ...task.ID) {
	f.Helper()
	for _, id := range ids {
		if v := f.view(id); v.Status != status {
			f.Errorf("it is %s, not %s\n%s", v.Status, status, f.log)
		}
	}
}

// workers reports the workers with this id, or all.
func (f *farm) workers(id string) (found []api.WorkerStatus) {
	for _, w := range f.engine.Workers(f.Context()) {
		if id == "" || w.ID == id {
			found = append(found, w)
		}
	}
	return found
}

// ready returns the process that takes the tasks of a seat.
func (f *farm) ready(id string) *fleettest.Process {
	f.Helper()
	for _, w := range f.workers(id) {
		if w.State == "ready" {
			return f.launcher.With(w.PID)
		}
	}
	f.Fatalf("no worker %s is ready: %s\n%s", id, f.launcher, f.log)
	return nil
}

// figure returns one of process_pool's figures.
func (f *farm) figure(name string) int {
	return f.engine.Status(f.Context()).Components["process_pool"].Metrics[name].(int)
}

// blameless: no worker has died, as far as anybody is told.
func (f *farm) blameless() {
	f.Helper()
	if n := f.figure("worker_deaths"); n != 0 || strings.Contains(f.log.String(), "-alone-") {
		f.Errorf("%d deaths were counted\n%s", n, f.log)
	}
}

func (f *farm) logged(text string) {
	f.Helper()
	if !strings.Contains(f.log.String(), text) {
		f.Errorf("the log does not say %q:\n%s", text, f.log)
	}
}

// states lists the workers of a seat, as "ready draining".
func (f *farm) states(id string) string {
	var all []string
	for _, w := range f.workers(id) {
		all = append(all, w.State)
	}
	return strings.Join(all, " ")
}

func (f *farm) reload(c *config.Config) error {
	f.next = c
	err := f.engine.Reload(f.Context(), who)
	synctest.Wait()
	return err
}

// ids lists the seats that have a ready worker.
func (f *farm) ids() string {
	var all []string
	for _, w := range f.workers("") {
		if w.State == "ready" {
			all = append(all, w.ID)
		}
	}
	return fmt.Sprint(all)
}
