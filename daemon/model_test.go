package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cpulb/daemon"
	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"
)

// Random calls, deaths of workers, restarts and changes of the clock, against what
// a caller may rely on: no accepted task is lost, ends twice, ends in a way that it
// can't, or never.
func TestEveryAcceptedTaskEndsOnceWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t, rt)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"submit":      m.submit,
			"submitBatch": m.submitBatch,
			"submitAgain": m.submitAgain,
			"cancel":      m.cancel,
			"killWorker":  m.killWorker,
			"restart":     m.restart,
			"setClock":    m.setClock,
			"drain":       m.drain,
			"":            m.check,
		})
		m.settle(rt)
	})
}

// known is what a caller knows of one task.
type known struct {
	task    *task.Task
	kind    string
	durable bool
	// cancelled: it was asked for. lost: the daemon was restarted since.
	cancelled, lost bool
	result          *task.Result
}

// machine is an engine and what its callers know.
type machine struct {
	dir    string
	config *config.Config
	engine *daemon.Engine
	offset atomic.Int64 // of the clock
	who    access.Identity
	tasks  map[task.ID]*known
	order  []task.ID
	// deaths: a worker was killed, or the daemon was restarted, and who may be lost
	// may have been.
	deaths bool
	jumped bool
	// mistakes are the lines of the log that no order of events excuses.
	mistakes mistakes
}

// mistakes keeps those lines of a log that tell of a mistake in the engine.
type mistakes struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer.
func (m *mistakes) Write(line []byte) (int, error) {
	if slices.ContainsFunc(daemon.Mistakes(), func(mistake string) bool { return strings.Contains(string(line), mistake) }) {
		m.mu.Lock()
		m.lines = append(m.lines, string(line))
		m.mu.Unlock()
	}
	return len(line), nil
}

func (m *mistakes) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lines
}

func newMachine(t *testing.T, rt *rapid.T) *machine {
	dir, err := os.MkdirTemp("", "model") // t.TempDir is too long for sockets
	if err != nil {
		rt.Fatal(err)
	}
	m := &machine{dir: dir, tasks: map[task.ID]*known{}, config: config.Default()}
	for _, name := range []string{echo, fails, failsOnce, blocks, crashes} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			rt.Fatal(err)
		}
	}
	m.configure()
	if err := m.start(); err != nil {
		rt.Fatal(err)
	}
	return m
}

// configure has the test itself as the executor.
func (m *machine) configure() {
	m.config.Executors = []config.Executor{{Name: "model", Command: os.Args[0], Environment: config.Environment{Env: map[string]string{executorRole: "1"}}}}
	m.config.Pools = []config.Pool{
		{Name: "cpu", Executor: "model", TaskTypes: []string{"cpu_bound"}, Workers: 2, Threads: 1, Window: config.DefaultWindow},
		{Name: "io", Executor: "model", TaskTypes: []string{"io_bound"}, Workers: 1, Threads: 3, Window: config.DefaultWindow},
	}
	m.config.Results.TTL = 24 * time.Hour
	m.config.Limits.CancelGrace = 100 * time.Millisecond
}

func (m *machine) start() error {
	run, err := os.MkdirTemp(m.dir, "run")
	if err != nil {
		return err
	}
	m.engine, err = daemon.New(daemon.Options{Config: m.config, RuntimeDir: run, StateDir: filepath.Join(m.dir, "state"), Private: true,
		Log: hclog.New(&hclog.LoggerOptions{Output: &m.mistakes, Level: hclog.Error}), Now: func() time.Time { return time.Now().Add(time.Duration(m.offset.Load())) }})
	if err != nil {
		return err
	}
	return m.engine.Start(context.Background())
}

// stop ends the engine; what runs is cut off.
func (m *machine) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m.engine.Stop(ctx)
}

func (m *machine) close() {
	m.stop()
	_ = os.RemoveAll(m.dir)
}

// newTask draws a task of any kind.
func (m *machine) newTask(rt *rapid.T) *known {
	k := &known{kind: rapid.SampledFrom([]string{echo, echo, echo, fails, failsOnce, blocks, crashes}).Draw(rt, "kind"), durable: true}
	t := &task.Task{ID: task.NewID(), ScriptPath: filepath.Join(m.dir, k.kind), Function: "main", Params: fmt.Appendf(nil, "%d", len(m.order)),
		Type: rapid.SampledFrom([]task.Type{task.CPUBound, task.IOBound}).Draw(rt, "type"), Priority: rapid.IntRange(0, 9).Draw(rt, "priority"), Extra: &task.Extras{}}
	x := t.Extra
	switch rapid.IntRange(0, 7).Draw(rt, "extra") {
	case 0:
		x.Delay = task.Duration(30 * time.Millisecond)
	case 1:
		x.ConcurrencyKey = "key"
	case 2:
		x.OnWorkerLost = task.Fail
	case 3:
		x.MaxRetries, x.RetryBackoff = 2, task.Duration(5*time.Millisecond)
	case 4:
		x.Durable, k.durable = new(bool), false
	case 5:
		x.ExpiresAt = time.Now().Add(time.Duration(m.offset.Load()) + 50*time.Millisecond)
	case 6:
		t.Timeout = task.Duration(50 * time.Millisecond)
	}
	k.task = t
	return k
}

// note remembers what was accepted; err is the engine's answer.
func (m *machine) note(rt *rapid.T, k *known, err error) {
	if errors.Is(err, api.ErrDraining) {
		return
	}
	if err != nil {
		rt.Fatalf("submit %s: %v", k.kind, err)
	}
	if m.tasks[k.task.ID] == nil {
		m.tasks[k.task.ID] = k
		m.order = append(m.order, k.task.ID)
	}
}

func (m *machine) submitOne(t *task.Task) error {
	answer := make(chan error, 1)
	m.engine.Submit(context.Background(), m.who, t, nil, func(_ task.View, err error) { answer <- err })
	return <-answer
}

func (m *machine) submit(rt *rapid.T) {
	k := m.newTask(rt)
	m.note(rt, k, m.submitOne(k.task))
}

func (m *machine) submitBatch(rt *rapid.T) {
	var all []*known
	var tasks []*task.Task
	for range rapid.IntRange(1, 5).Draw(rt, "tasks") {
		k := m.newTask(rt)
		all, tasks = append(all, k), append(tasks, k.task)
	}
	answer := make(chan []error, 1)
	m.engine.SubmitBatch(context.Background(), m.who, task.NewID(), tasks, func(_ task.ID, _ []task.ID, errs []error) { answer <- errs })
	for i, err := range <-answer {
		m.note(rt, all[i], err)
	}
}

// one draws a task that was accepted.
func (m *machine) one(rt *rapid.T) *known {
	if len(m.order) == 0 {
		rt.Skip("no task yet")
	}
	return m.tasks[rapid.SampledFrom(m.order).Draw(rt, "task")]
}

func (m *machine) submitAgain(rt *rapid.T) {
	k := m.one(rt)
	if k.durable { // one that is not may be forgotten, and would be new
		m.note(rt, k, m.submitOne(k.task))
	}
}

func (m *machine) cancel(rt *rapid.T) {
	k := m.one(rt)
	k.cancelled = true
	if err := m.cancelOne(k.task.ID); err != nil && !(k.lost && errors.Is(err, task.ErrNotFound)) {
		rt.Fatalf("cancel: %v", err)
	}
}

func (m *machine) cancelOne(id task.ID) error {
	answer := make(chan error, 1)
	m.engine.Cancel(m.who, id, func(_ task.View, err error) { answer <- err })
	return <-answer
}

func (m *machine) killWorker(rt *rapid.T) {
	m.deaths = true
	workers := m.engine.Workers(rt.Context())
	w := workers[rapid.IntRange(0, len(workers)-1).Draw(rt, "worker")]
	if w.State == "ready" && w.PID > 0 {
		_ = syscall.Kill(w.PID, syscall.SIGKILL) // a child of ours that has not been reaped, or is dead already
	}
}

func (m *machine) restart(rt *rapid.T) {
	m.deaths = true
	m.stop()
	for _, k := range m.tasks {
		k.lost = k.lost || !k.durable
	}
	if err := m.start(); err != nil {
		rt.Fatal(err)
	}
}

func (m *machine) setClock(rt *rapid.T) {
	m.jumped = true
	m.offset.Store(int64(rapid.SampledFrom([]time.Duration{-time.Hour, 0, 10 * time.Minute}).Draw(rt, "clock")))
}

func (m *machine) drain(rt *rapid.T) {
	if err := m.engine.Drain(m.who); err != nil {
		rt.Fatal(err)
	}
	if err := m.engine.Resume(m.who); err != nil {
		rt.Fatal(err)
	}
}

// check looks at every task: what has ended stays as it is.
func (m *machine) check(rt *rapid.T) {
	if lines := m.mistakes.all(); len(lines) > 0 {
		rt.Fatal(lines)
	}
	for _, k := range m.tasks {
		view, err := m.engine.View(context.Background(), m.who, k.task.ID)
		switch {
		case errors.Is(err, task.ErrNotFound) && k.lost:
		case err != nil:
			rt.Fatalf("%s %s: %v", k.kind, k.task.ID, err)
		case view.Status.Terminal():
			m.ended(rt, k)
		case k.result != nil && !k.lost:
			rt.Fatalf("%s had ended as %s and is %s", k.kind, k.result.Status, view.Status)
		}
	}
}

// stuck is for how long a task that nothing holds up any more is waited for, on
// however slow a machine.
const stuck = 10 * time.Minute

func (m *machine) ended(rt *rapid.T, k *known) {
	ctx, cancel := context.WithTimeout(rt.Context(), stuck)
	defer cancel()
	r, err := m.engine.Result(ctx, m.who, k.task.ID)
	if err != nil {
		view, _ := m.engine.View(context.Background(), m.who, k.task.ID)
		rt.Fatalf("result of %s %+v: %v: %+v\n%+v", k.kind, *k.task.Extra, err, view, m.engine.Status(context.Background()))
	}
	if k.result != nil && (r.Status != k.result.Status || !r.FinishedAt.Equal(k.result.FinishedAt)) {
		rt.Fatalf("%s ended as %+v and then as %+v", k.kind, k.result, r)
	}
	k.result = r
	if how := outcome(r); !slices.Contains(m.allowed(k), how) {
		rt.Fatalf("%s %+v ended as %s; allowed: %v", k.kind, *k.task.Extra, how, m.allowed(k))
	}
	if r.Status == task.Completed && string(r.Data) != string(k.task.Params) {
		rt.Fatalf("%s returned %s for %s", k.kind, r.Data, k.task.Params)
	}
}

func outcome(r *task.Result) string {
	if r.Error == nil {
		return r.Status.String()
	}
	return r.Error.Code
}

// allowed lists how a task may end.
func (m *machine) allowed(k *known) []string {
	x := k.task.Extra
	how := map[string][]string{echo: {"completed"}, blocks: {"completed"}, fails: {"exception"}, crashes: {"worker_lost"},
		failsOnce: {"exception", "completed"}}[k.kind] // a worker that dies takes an attempt with it
	if k.cancelled {
		how = append(how, "cancelled")
	}
	if !x.ExpiresAt.IsZero() {
		how = append(how, "expired")
	}
	if k.task.Timeout > 0 {
		how = append(how, "timed_out")
	}
	if !k.durable {
		how = append(how, "daemon_stopped")
	}
	if m.deaths { // who was alone in a worker that was killed twice is taken for poison
		how = append(how, "worker_lost")
		if x.OnWorkerLost == task.Fail {
			how = append(how, "daemon_lost")
		}
	}
	return how
}

// settle lets all tasks go and waits for their ends.
func (m *machine) settle(rt *rapid.T) {
	m.offset.Store(int64(20 * time.Minute)) // every time that a task waits for has come
	if err := os.WriteFile(filepath.Join(m.dir, released), nil, 0o600); err != nil {
		rt.Fatal(err)
	}
	if err := m.engine.Drain(m.who); err != nil {
		rt.Fatal(err)
	}
	if err := m.engine.Resume(m.who); err != nil { // which has the clock looked at
		rt.Fatal(err)
	}
	for _, k := range m.tasks {
		if _, err := m.engine.View(context.Background(), m.who, k.task.ID); !(k.lost && errors.Is(err, task.ErrNotFound)) {
			m.ended(rt, k)
		}
	}
	status := m.engine.Status(rt.Context())
	for name, n := range status.Engine.Tasks {
		var s task.Status
		if err := s.UnmarshalText([]byte(name)); err != nil || !s.Terminal() && n != 0 {
			rt.Fatalf("%d tasks are %s: %v", n, name, status.Engine.Tasks)
		}
	}
	if size := status.Components["input_queue"].Metrics["size"]; size != 0 {
		rt.Fatalf("the queue has %v items", size)
	}
}
