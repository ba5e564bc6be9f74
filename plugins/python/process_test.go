package python

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// workerRole is set for a process of this test that is to be a worker.
const workerRole = "CPULB_TEST_WORKER"

// runner runs scripts: a slot of this process's interpreter, or one of a worker.
type runner interface {
	run(path, params string) plugins.Outcome
	runFunction(path, function, params string) plugins.Outcome
}

// everywhere runs a test with a slot of the interpreter in this process, a shared
// worker's, and with the slot of an exclusive worker in a process of its own, started
// as the daemon starts it.
func everywhere(t *testing.T, test func(t *testing.T, s runner)) {
	t.Run("shared", func(t *testing.T) { test(t, openTestSlot(t)) })
	t.Run("exclusive", func(t *testing.T) { test(t, openProcess(t, testResultBytes)) })
}

// process is a worker with one slot; it is the slot's Handler.
type process struct {
	*supervisor.Process
	t     testing.TB
	seq   uint64
	ended chan plugins.Outcome
	said  chan string // messages of progress; nil: nobody reads them
}

func openProcess(t testing.TB, resultBytes int64) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "worker") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, ended: make(chan plugins.Outcome, 1)}
	p.Process, err = l.Start(context.Background(), supervisor.Spec{ID: "test-0", Pool: "test", Executor: "python", Command: os.Args[0], Slots: 1,
		Env: map[string]string{workerRole: "1"}, ResultBytes: resultBytes, OutputBytes: testOutputBytes, StartTimeout: time.Minute},
		executortest.Each(func(int) executortest.SlotHandler { return p }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		<-p.Done()
		l.Close()
		os.RemoveAll(dir)
	})
	return p
}

func (p *process) run(path, params string) plugins.Outcome {
	return p.runFunction(path, "main", params)
}

func (p *process) runFunction(path, function, params string) plugins.Outcome {
	p.t.Helper()
	p.seq++
	err := p.Slot(0).Send(&plugins.Task{Seq: p.seq, ID: fmt.Sprintf("task-%d", p.seq), ScriptPath: path, Function: function, Type: task.CPUBound,
		Attempt: 1, Params: []byte(params)})
	if err != nil {
		p.t.Fatal(err)
	}
	select {
	case o := <-p.ended:
		return o
	case <-p.Done():
		p.t.Fatalf("the worker ended (%s): %v", p.Exit(), p.LastStderr())
		return plugins.Outcome{}
	}
}

// What the worker sends; all but the ends is looked at elsewhere.

// Event implements executortest.SlotHandler.
func (p *process) Event(ev *plugins.Event) {
	if ev.Kind == plugins.EventEnded {
		p.ended <- ev.Outcome
	}
	if ev.Kind == plugins.EventProgress && p.said != nil {
		p.said <- ev.Message
	}
}

// Lost implements executortest.SlotHandler.
func (p *process) Lost(error) {}

// peak returns the most memory that the worker has had resident.
func (p *process) peak() int64 {
	p.t.Helper()
	s, err := p.Stats(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return s.PeakRSSBytes
}

// largeCopies is how many times the size of what passes a worker may have
// resident, over what it has anyway: docs/scripts.md promises it.
const largeCopies = 5

func TestLargeValuesPassWithinTheDocumentedMemory(t *testing.T) {
	size := inShort(40, 100) << 20
	for name, x := range map[string]struct{ script, params string }{
		"params and result": {"returns_params.py", `"` + strings.Repeat("x", size) + `"`},
		"params":            {"counts_params.py", `"` + strings.Repeat("x", size) + `"`},
		"result":            {"returns_bytes_of_size.py", strconv.Itoa(size)},
	} {
		t.Run(name, func(t *testing.T) {
			p := openProcess(t, int64(size+1024))
			wantData(t, p.run(script("returns_params.py"), "1"), "1")
			before := p.peak()
			o := p.run(script(x.script), x.params)
			if o.Status != task.Completed {
				t.Fatalf("%v %+v", o.Status, o.Error)
			}
			took := p.peak() - before
			t.Logf("%.2f times the size", float64(took)/float64(size))
			if took > int64(largeCopies*size) && !raceEnabled && !asanEnabled {
				t.Errorf("%d bytes passed, and the worker had %d more", size, took)
			}
		})
	}
}
