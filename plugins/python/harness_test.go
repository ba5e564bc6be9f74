package python

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

const (
	manySlots       = 1024
	testResultBytes = 200_000
	testOutputBytes = 10_000
)

// exclusiveRole is set for a process of this test whose interpreter is to be an
// exclusive worker's: with one slot, for one benchmark.
const exclusiveRole = "CPULB_TEST_EXCLUSIVE"

func testSlots() int {
	if os.Getenv(exclusiveRole) != "" {
		return 1
	}
	return manySlots
}

// theWorker is the one interpreter that a process can have: a shared worker's.
var theWorker = sync.OnceValues(func() (*worker, error) {
	e := New("test", nil)
	dir, err := os.MkdirTemp("", "cpulb-python-test")
	if err != nil {
		return nil, err
	}
	version, err := e.Configure(context.Background(), plugins.Configuration{WorkerID: "test-0", Pool: "test", Slots: testSlots(), RuntimeDir: dir,
		ResultBytes: testResultBytes, OutputBytes: testOutputBytes})
	return &worker{Executor: e, runtime: version}, err
})

// A worker's main goroutine keeps the process's first thread, as in cpulb-python.
func init() {
	if os.Getenv(workerRole) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(workerRole) != "" {
		main := make(chan func())
		go func() {
			plugins.Serve(New("test", func(f func()) { main <- f }))
			os.Exit(0)
		}()
		(<-main)()
		return
	}
	if os.Getenv(exclusiveRole) != "" {
		keepStdout() // the worker takes descriptor 1
	}
	code := m.Run()
	if w, err := theWorker(); err == nil {
		os.RemoveAll(w.conf.RuntimeDir)
	}
	os.Exit(code)
}

// keepStdout lets the test go on printing where it does.
func keepStdout() {
	if fd, err := unix.Dup(1); err == nil {
		os.Stdout = os.NewFile(uintptr(fd), "stdout")
	}
}

type worker struct {
	*Executor
	runtime string
	opened  atomic.Int64
}

func startWorker(t testing.TB) *worker {
	t.Helper()
	w, err := theWorker()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// testSlot is a slot on an OS thread of its own, as plugins.Serve has it.
type testSlot struct {
	plugins.Slot
	work chan func()
	seq  uint64
}

func openTestSlot(t testing.TB) *testSlot {
	t.Helper()
	w := startWorker(t)
	s := &testSlot{work: make(chan func())}
	opened, closed := make(chan error), make(chan struct{})
	go func() {
		defer close(closed)
		index := int(w.opened.Add(1) - 1)
		w.OnSlotThread(index, func() {
			var err error
			s.Slot, err = w.OpenSlot(index)
			opened <- err
			if err != nil {
				return
			}
			for f := range s.work {
				f()
			}
			s.Close()
		})
	}()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(s.work); <-closed })
	return s
}

// inShort is how often something is tried: few times with -short, as CI runs the tests.
func inShort(few, many int) int {
	if testing.Short() {
		return few
	}
	return many
}

// itsTurn says whether the ith of many is tried in the nth of several kinds: with -short in one of them.
func itsTurn(i, n, kinds int) bool { return !testing.Short() || i%kinds == n }

func script(name string) string {
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		panic(err)
	}
	return path
}

// task returns the slot's next task.
func (s *testSlot) task(path, params string) *plugins.Task {
	s.seq++
	return &plugins.Task{Seq: s.seq, ID: fmt.Sprintf("task-%d", s.seq), ScriptPath: path, Function: "main", Type: task.CPUBound,
		Attempt: 1, Params: []byte(params)}
}

// start runs k and returns at once.
func (s *testSlot) start(k *plugins.Task, emit plugins.Emitter) <-chan plugins.Outcome {
	done := make(chan plugins.Outcome, 1)
	s.work <- func() {
		o := s.Run(k, emit)
		o.Data = append(json.RawMessage(nil), o.Data...)
		done <- o
	}
	return done
}

// run runs the script with that params text.
func (s *testSlot) run(path, params string) plugins.Outcome {
	return s.runFunction(path, "main", params)
}

func (s *testSlot) runFunction(path, function, params string) plugins.Outcome {
	k := s.task(path, params)
	k.Function = function
	return <-s.start(k, newEvents())
}

// events records what a script sends; begun is closed by its first progress.
type events struct {
	mu    sync.Mutex
	all   []string
	begun chan struct{}
	once  sync.Once
}

func newEvents() *events { return &events{begun: make(chan struct{})} }

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, fmt.Sprintf(format, args...))
}

func (e *events) Partial(value []byte) { e.add("partial %s", value) }
func (e *events) Progress(fraction float64, message string) {
	e.add("progress %g %s", fraction, message)
	e.once.Do(func() { close(e.begun) })
}
func (e *events) Output(to plugins.Stream, text string) { e.add("output %d %s", to, text) }
func (e *events) Log(level, message string)             { e.add("log %s %s", level, message) }

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantData compares the data's text; it has no blanks, which want may have.
func wantData(t *testing.T, o plugins.Outcome, want string) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(want)); err != nil {
		t.Fatal(err)
	}
	if o.Status != task.Completed || string(o.Data) != compact.String() {
		t.Fatalf("%v %s, %+v; want completed %s", o.Status, o.Data, o.Error, want)
	}
}

func wantError(t *testing.T, o plugins.Outcome, status task.Status, code string) *task.Error {
	t.Helper()
	if o.Error == nil {
		t.Fatalf("%v %s without an error, want %v with code %s", o.Status, o.Data, status, code)
	}
	if o.Status != status || o.Error.Code != code || len(o.Data) != 0 {
		t.Fatalf("%v %+v data %s, want %v with code %s", o.Status, o.Error, o.Data, status, code)
	}
	return o.Error
}
