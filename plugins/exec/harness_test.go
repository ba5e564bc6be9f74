package exec_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"cpulb/internal/programs"
	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// program returns the executor's, one for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cpulb-exec")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // other users begin programs by it
		return dir, err
	}
	return filepath.Join(dir, "cpulb-exec"), programs.Into(dir, "cpulb-exec")
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, _ := program(); path != "" {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// long is for how long a test waits before it takes what it waits for for hung.
const long = 10 * time.Minute

// launch starts a worker with these settings, or returns why it does not start.
func launch(t *testing.T, slots int, settings map[string]string, handler func(first, count int) plugins.Handler) (*supervisor.Process, error) {
	t.Helper()
	command, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "exec") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // with user = "caller" they find their sources there
		t.Fatal(err)
	}
	l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l.Start(t.Context(), supervisor.Spec{ID: "w", Pool: "test", Command: command, Slots: slots, StartTimeout: long,
		ResultBytes: executortest.SuiteResultBytes, OutputBytes: 1 << 16, Settings: settings}, handler)
}

// starter starts workers with these settings.
func starter(settings map[string]string) func(*testing.T, int, func(first, count int) plugins.Handler) executortest.Worker {
	return func(t *testing.T, slots int, handler func(first, count int) plugins.Handler) executortest.Worker {
		t.Helper()
		p, err := launch(t, slots, settings, handler)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			p.Kill()
			<-p.Done()
		})
		return p
	}
}

// startError returns why a worker with these settings does not start.
func startError(t *testing.T, settings map[string]string) error {
	t.Helper()
	p, err := launch(t, 1, settings, executortest.Each(func(int) executortest.SlotHandler { return executortest.NewRecorder() }))
	if err == nil {
		p.Kill()
		<-p.Done()
	}
	return err
}

// worker is one with one slot.
type worker struct {
	*testing.T
	executortest.Worker
	up  *executortest.Recorder
	seq uint64
}

// start starts one with these settings, in turn names and values.
func start(t *testing.T, settings ...string) *worker {
	t.Helper()
	given := map[string]string{}
	for i := 0; i < len(settings); i += 2 {
		given[settings[i]] = settings[i+1]
	}
	w := &worker{T: t, up: executortest.NewRecorder()}
	w.Worker = starter(given)(t, 1, executortest.Each(func(int) executortest.SlotHandler { return w.up }))
	return w
}

// send sends a task and returns its seq.
func (w *worker) send(t plugins.Task) uint64 {
	w.Helper()
	w.seq++
	t.Seq, t.ID, t.Type, t.Attempt = w.seq, fmt.Sprintf("task-%d", w.seq), "cpu_bound", 1
	if t.Params == nil {
		t.Params = []byte("{}")
	}
	if err := w.Slot(0).Send(&t); err != nil {
		w.Fatal(err)
	}
	return w.seq
}

// end waits for a task's end.
func (w *worker) end(seq uint64) plugins.Outcome {
	w.Helper()
	return w.up.Wait(w, "ended", seq).Outcome
}

// run runs a shell script to its end.
func (w *worker) run(text string) plugins.Outcome {
	w.Helper()
	return w.end(w.send(plugins.Task{ScriptPath: w.script("#!/bin/sh\n" + text)}))
}

// script writes a file that can be executed, by anybody.
func (w *worker) script(text string) string {
	w.Helper()
	return write(w.T, w.folder(), fmt.Sprintf("script-%d", w.seq), text)
}

func (w *worker) folder() string {
	w.Helper()
	dir, err := os.MkdirTemp("", "exec-scripts")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		w.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// has skips a test that needs a program which is not there.
func has(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed here (%s)", name, runtime.GOARCH)
	}
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can run a program as somebody else")
	}
}
