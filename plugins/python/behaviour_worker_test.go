package python

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// crewRole is set for a process of this test that is to be a worker as the program
// is one: Python's main thread is the process's first.
const crewRole = "CPULB_TEST_CREW"

const withoutCapabilities = "exclusive without capabilities"

func init() {
	if os.Getenv(crewRole) == "" {
		return
	}
	runtime.LockOSThread()
	if os.Getenv(crewRole) == withoutCapabilities {
		header, none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
		if err := unix.Capset(&header, &none[0]); err != nil {
			panic(err)
		}
	}
	main := make(chan func())
	go func() {
		plugins.Serve(New("test", func(f func()) { main <- f }))
		os.Exit(0)
	}()
	(<-main)()
}

// The kinds of worker: how many threads it has, and how many places on its loop.
var kinds = map[string]struct{ threads, loop int }{
	"exclusive": {threads: 1},
	// As where the service's unit has an empty CapabilityBoundingSet.
	withoutCapabilities: {threads: 1},
	"shared":            {threads: 4},
	"loop":              {threads: 2, loop: 8},
}

// hangs is when a task is given up: no test waits for it when all is right.
const hangs = 5 * time.Minute

// crew is a worker in a process of its own, and another one once that is spoilt.
type crew struct {
	kind   string
	worker *crewWorker // nil: the next task starts one
	clean  []byte      // what the probe says of one in which nothing has run
}

// crewWorker is one process.
type crewWorker struct {
	*supervisor.Process
	kind     string
	seats    []*seat
	close    func()
	patience time.Duration
}

// seat is a slot, as its Handler.
type seat struct {
	worker *crewWorker
	index  int

	mu    sync.Mutex
	seq   uint64
	tasks map[uint64]*crewTask
	busy  bool
	lost  chan struct{} // closed when the connection has ended

	heard func(*plugins.Event) // nil: what comes is of tasks
}

// crewTask is one that has been sent.
type crewTask struct {
	begun chan struct{} // closed by its first progress
	once  sync.Once
	ended chan plugins.Outcome

	path, function string
	params         []byte
}

func startCrewWorker(t *testing.T, kind string) *crewWorker {
	t.Helper()
	return startBoundedCrewWorker(t, kind, supervisor.Limits{})
}

func startBoundedCrewWorker(t *testing.T, kind string, limits supervisor.Limits) *crewWorker {
	t.Helper()
	dir, err := os.MkdirTemp("", "worker") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	w := &crewWorker{kind: kind, patience: hangs}
	size := kinds[kind]
	for i := range size.threads + size.loop {
		w.seats = append(w.seats, &seat{worker: w, index: i, tasks: map[uint64]*crewTask{}, lost: make(chan struct{})})
	}
	w.Process, err = l.Start(context.Background(), supervisor.Spec{ID: "test-0", Pool: "test", Executor: "python", Command: os.Args[0],
		Slots: size.threads, LoopSlots: size.loop, Env: map[string]string{crewRole: kind}, ResultBytes: testResultBytes,
		OutputBytes: testOutputBytes, Limits: limits, StartTimeout: time.Minute},
		executortest.Each(func(i int) executortest.SlotHandler { return w.seats[i] }))
	if err != nil {
		t.Fatal(err)
	}
	w.close = func() {
		w.Kill()
		<-w.Done()
		l.Close()
		os.RemoveAll(dir)
	}
	return w
}

// get returns the worker, and starts one when there is none.
func (c *crew) get(t *testing.T) *crewWorker {
	t.Helper()
	if c.worker == nil {
		c.worker = startCrewWorker(t, c.kind)
	}
	return c.worker
}

// dismiss ends the worker; the next task gets another one.
func (c *crew) dismiss() {
	if c.worker != nil {
		c.worker.close()
		c.worker = nil
	}
}

// free returns a seat that runs nothing: nil if there is none.
func free(seats []*seat) *seat {
	for _, s := range seats {
		s.mu.Lock()
		free := !s.busy
		s.busy = true
		s.mu.Unlock()
		if free {
			return s
		}
	}
	return nil
}

// send starts a task and returns at once: on the loop if there is one, which hands
// back what needs a thread. The first free seat is the one that the task before had.
func (w *crewWorker) send(t *testing.T, dir string, s *step) *crewTask {
	t.Helper()
	k := &crewTask{begun: make(chan struct{}), ended: make(chan plugins.Outcome, 1), path: filepath.Join(dir, s.Script), function: s.Function,
		params: s.Params}
	seats := w.seats
	if n := kinds[w.kind]; n.loop > 0 {
		seats = seats[n.threads:]
	}
	if err := free(seats).send(k); err != nil {
		t.Fatal(err)
	}
	return k
}

func (s *seat) send(k *crewTask) error {
	if s == nil {
		return errors.New("all seats are taken")
	}
	s.mu.Lock()
	s.seq++
	seq := s.seq
	s.tasks[seq] = k
	s.mu.Unlock()
	return s.worker.Slot(s.index).Send(&plugins.Task{Slot: s.index, Seq: seq, ID: fmt.Sprintf("task-%d-%d", s.index, seq), ScriptPath: k.path,
		Function: k.function, Type: task.IOBound, Attempt: 1, Params: k.params})
}

// begun waits for the task's first progress.
func (w *crewWorker) begun(t *testing.T, k *crewTask) {
	t.Helper()
	select {
	case <-k.begun:
	case o := <-k.ended:
		t.Fatalf("it ended before its first progress: %s", resultOf(o))
	case <-w.Done():
		t.Fatalf("the worker ended: %s %v", w.Exit(), w.LastStderr())
	case <-time.After(w.patience):
		t.Fatal("it does not begin")
	}
}

// outcome waits for the task's end.
func (w *crewWorker) outcome(t *testing.T, k *crewTask) result {
	t.Helper()
	select {
	case o := <-k.ended:
		return resultOf(o)
	case <-w.Done():
		return result{Code: "worker_lost", Message: w.Exit(), Stderr: fmt.Sprint(w.LastStderr())}
	case <-time.After(w.patience):
		stacks, err := w.Stacks(t.Context())
		t.Fatalf("it does not end: %v\n%s", err, stacks)
		return result{}
	}
}

func resultOf(o plugins.Outcome) result {
	r := result{Completed: o.Status == task.Completed, Data: o.Data, Stdout: o.Stdout, Stderr: o.Stderr}
	if o.Error != nil {
		r.Code, r.Type, r.Message, r.Traceback = o.Error.Code, o.Error.Type, o.Error.Message, o.Error.Traceback
	}
	return r
}

// take removes the task that has ended or was not run.
func (s *seat) take(seq uint64) *crewTask {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.tasks[seq]
	delete(s.tasks, seq)
	s.busy = len(s.tasks) > 0
	return k
}

// Event implements executortest.SlotHandler.
func (s *seat) Event(ev *plugins.Event) {
	s.mu.Lock()
	heard := s.heard
	s.mu.Unlock()
	if heard != nil {
		heard(ev)
		return
	}
	switch ev.Kind {
	case plugins.EventEnded:
		s.take(ev.Seq).ended <- ev.Outcome
	case plugins.EventSkipped:
		s.skipped(ev.Seq, ev.NeedsThread)
	case plugins.EventProgress:
		s.begun(ev.Seq)
	}
}

// listen has heard called with what comes; nil: no more.
func (s *seat) listen(heard func(*plugins.Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = heard
}

// skipped: a task that a loop hands back goes to a thread.
func (s *seat) skipped(seq uint64, needsThread bool) {
	k := s.take(seq)
	if err := free(s.worker.seats[:kinds[s.worker.kind].threads]).send(k); !needsThread || err != nil {
		k.ended <- failed("skipped", "Skipped", fmt.Sprint(err))
	}
}

func (s *seat) begun(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.tasks[seq]; k != nil {
		k.once.Do(func() { close(k.begun) })
	}
}

// Lost implements executortest.SlotHandler.
func (s *seat) Lost(error) { close(s.lost) }

// gates are the FIFOs of a fixture at which its scripts wait: each of them reads
// a byte. They are held open, so that nobody waits for somebody to come.
type gates map[string]*os.File

func (f *fixture) makeGates(t *testing.T, dir string) gates {
	t.Helper()
	all := gates{}
	for _, s := range f.Steps {
		if s.Do != "open" || all[s.Name] != nil {
			continue
		}
		path := filepath.Join(dir, s.Name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		all[s.Name] = file
	}
	return all
}

// open lets a few go on.
func (g gates) open(t *testing.T, name string) {
	t.Helper()
	if _, err := g[name].WriteString("\n\n\n\n\n\n\n\n"); err != nil {
		t.Fatal(err)
	}
}
