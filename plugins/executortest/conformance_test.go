package executortest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// build builds a program for one test.
func build(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "executor")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, pkg)
	c.Env = append(os.Environ(), "GOEXPERIMENT=") // as make build does
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return program
}

// starter starts workers of a program, each with a launcher of its own.
func starter(spec supervisor.Spec) func(*testing.T, int, func(first, count int) plugins.Handler) executortest.Worker {
	spec.ID, spec.Pool, spec.StartTimeout = "w", "test", 10*time.Minute
	spec.ResultBytes, spec.OutputBytes = executortest.SuiteResultBytes, 1<<16
	return func(t *testing.T, slots int, handler func(first, count int) plugins.Handler) executortest.Worker {
		t.Helper()
		spec.Slots = slots
		dir, err := os.MkdirTemp("", "sup") // t.TempDir is too long for sockets
		if err != nil {
			t.Fatal(err)
		}
		l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.Start(t.Context(), spec, handler)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			p.Kill()
			<-p.Done()
			l.Close()
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left in the runtime folder: %v %v", left, err)
			}
			os.RemoveAll(dir)
		})
		return p
	}
}

// pythonScripts are those of testdata/python, by the behaviours that they are
// named after.
func pythonScripts(t *testing.T) map[executortest.Behaviour]string {
	t.Helper()
	files, err := filepath.Glob("testdata/python/*.py")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	known := executortest.FakeScripts()
	scripts := map[executortest.Behaviour]string{}
	for _, file := range files {
		b := executortest.Behaviour(strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".py"), "_", "-"))
		if known[b] == "" {
			t.Errorf("%s is named after no behaviour", file)
		}
		if scripts[b], err = filepath.Abs(file); err != nil {
			t.Fatal(err)
		}
	}
	return scripts
}

func TestThePythonExecutorConforms(t *testing.T) {
	start := starter(supervisor.Spec{Command: build(t, "cpulb/cmd/cpulb-python"),
		Settings: map[string]string{"interrupt_after": "0s"}}) // nothing in the suite stops by itself
	executortest.Run(t, executortest.Suite{Scripts: pythonScripts(t), Start: start, Shares: true})
}

func TestTooMuchMemoryIsAMemoryErrorToPython(t *testing.T) {
	scripts := pythonScripts(t)
	up := executortest.NewRecorder()
	start := starter(supervisor.Spec{Command: build(t, "cpulb/cmd/cpulb-python"), Limits: supervisor.Limits{MemoryBytes: 128 << 20}})
	w := start(t, 4, executortest.Each(func(int) executortest.SlotHandler { return up }))
	for seq, b := range []executortest.Behaviour{executortest.EatsMemory, executortest.Echo} {
		err := w.Slot(0).Send(&plugins.Task{Seq: uint64(seq + 1), ScriptPath: scripts[b], Function: "main", Params: []byte("1")})
		if err != nil {
			t.Fatal(err)
		}
	}
	if o := up.Wait(t, "ended", 1).Outcome; o.Error == nil || o.Error.Type != "MemoryError" {
		t.Errorf("%s %s %+v", o.Status, o.Data, o.Error)
	}
	if o := up.Wait(t, "ended", 2).Outcome; string(o.Data) != "1" {
		t.Errorf("the next task gave %s %+v", o.Data, o.Error)
	}
}

func TestAnExecutorWrittenFromTheDocumentConforms(t *testing.T) {
	scripts := map[executortest.Behaviour]string{}
	for _, b := range []executortest.Behaviour{executortest.Echo, executortest.Fails, executortest.Events, executortest.BlocksUntilStopped,
		executortest.StrayOutput, executortest.Crashes, executortest.Exits, executortest.HugeResult, executortest.Environment,
		executortest.SpawnsChild, executortest.ChildEscapes, executortest.Faulted, executortest.Breaks} {
		scripts[b] = fmt.Sprintf("/%s", b)
	}
	executortest.Run(t, executortest.Suite{Scripts: scripts, Start: starter(supervisor.Spec{Command: build(t, "./testdata/foreign")})})
}

// The next task keeps the GIL until it is told to go on: nothing of Python can send the
// Results before it.
func TestAResultLeavesWhileTheNextTaskKeepsTheGIL(t *testing.T) {
	dir := t.TempDir()
	fifo, keeps := filepath.Join(dir, "go-on"), filepath.Join(dir, "keeps_the_gil.py")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "import ctypes, os\n\ndef main(params, context):\n    fd = os.open(params, os.O_RDWR)\n    return ctypes.PyDLL(None).read(fd, ctypes.create_string_buffer(1), 1)\n"
	if err := os.WriteFile(keeps, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	goOn, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer goOn.Close()
	echo := pythonScripts(t)[executortest.Echo]
	for _, slots := range []int{1, 2} { // exclusive, and shared
		up := executortest.NewRecorder()
		w := starter(supervisor.Spec{Command: build(t, "cpulb/cmd/cpulb-python")})(t, slots,
			executortest.Each(func(int) executortest.SlotHandler { return up }))
		seq := uint64(0)
		next := func(path, params string) *plugins.Task {
			seq++
			return &plugins.Task{Seq: seq, ScriptPath: path, Function: "main", Params: []byte(params)}
		}
		for range 3 { // short ones, once they are loaded
			var tasks []*plugins.Task
			for range 5 {
				tasks = append(tasks, next(echo, "1"))
			}
			blocks := next(keeps, fmt.Sprintf("%q", fifo))
			if err := w.Slot(0).Send(append(tasks, blocks, next(echo, "1"))...); err != nil {
				t.Fatal(err)
			}
			up.Wait(t, "ended", blocks.Seq-1)
			up.Wait(t, "started", blocks.Seq)
			if got := up.Of(blocks.Seq); got != fmt.Sprintf("started %d", blocks.Seq) {
				t.Errorf("%s while it keeps the GIL", got)
			}
			if _, err := goOn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			up.Wait(t, "ended", seq)
		}
	}
}
