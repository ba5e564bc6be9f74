package executortest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cpulb/internal/programs"
	"cpulb/plugins"
	"cpulb/plugins/conformance"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"golang.org/x/sys/unix"
)

// python is the program of the executor with CPython.
func python(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := programs.Into(folder, "cpulb-python"); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "cpulb-python")
}

// build builds a program without cgo for one test.
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

// scriptsIn returns the scripts in a folder of testdata.
func scriptsIn(t *testing.T, folder string) map[executortest.Behaviour]string {
	t.Helper()
	scripts, err := conformance.Scripts(filepath.Join("testdata", folder))
	if err != nil {
		t.Fatal(err)
	}
	return scripts
}

// start starts a worker of a program.
func start(t *testing.T, spec supervisor.Spec, slots int, up *executortest.Recorder) executortest.Worker {
	t.Helper()
	w, err := executortest.Program(spec)(t, executortest.Options{Slots: slots, MemoryBytes: spec.Limits.MemoryBytes},
		executortest.Each(func(int) executortest.SlotHandler { return up }))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestThePythonExecutorConforms(t *testing.T) {
	start := executortest.Program(supervisor.Spec{Command: python(t),
		Settings: map[string]string{"interrupt_after": "0s"}}) // nothing in the suite stops by itself
	executortest.Run(t, executortest.Suite{Scripts: scriptsIn(t, "python"), StartWith: start, Shares: true})
}

func TestTooMuchMemoryIsAMemoryErrorToPython(t *testing.T) {
	scripts := scriptsIn(t, "python")
	up := executortest.NewRecorder()
	w := start(t, supervisor.Spec{Command: python(t), Limits: supervisor.Limits{MemoryBytes: 128 << 20}}, 4, up)
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
	echo := scriptsIn(t, "python")[executortest.Echo]
	for _, slots := range []int{1, 2} { // exclusive, and shared
		up := executortest.NewRecorder()
		w := start(t, supervisor.Spec{Command: python(t)}, slots, up)
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
