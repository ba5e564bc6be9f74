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
)

// build builds a program for one test.
func build(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "executor")
	if out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, pkg).CombinedOutput(); err != nil {
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
