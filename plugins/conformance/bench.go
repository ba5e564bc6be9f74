package conformance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// bench is a worker, in a test.
type bench struct {
	T
	suite  *Suite
	worker Worker
	up     []*Recorder
	seq    []uint64
}

func newBench(t T, s Suite) *bench { return benchWith(t, &s, Options{Slots: s.slots()}) }

// benchWith starts a worker that is not like the others.
func benchWith(t T, s *Suite, o Options) *bench {
	b, err := tryBench(t, s, o)
	if err != nil {
		t.Fatalf("a worker can't be started: %v", err)
	}
	return b
}

func tryBench(t T, s *Suite, o Options) (*bench, error) {
	b := &bench{T: t, suite: s, seq: make([]uint64, o.Slots+o.LoopSlots)}
	for range b.seq {
		b.up = append(b.up, newRecorder(s.patience()))
	}
	var err error
	b.worker, err = s.Start(t, o, Each(func(slot int) SlotHandler { return b.up[slot] }))
	return b, err
}

// task is one of a script, with the next seq of the slot.
func (b *bench) task(slot int, behaviour Behaviour, params string) *plugins.Task {
	b.seq[slot]++
	return &plugins.Task{Slot: slot, Seq: b.seq[slot], ID: fmt.Sprintf("task-%d-%d", slot, b.seq[slot]), ScriptPath: b.suite.Scripts[behaviour],
		Function: "main", Type: "cpu_bound", Attempt: 1, Params: []byte(params)}
}

func (b *bench) sendTask(t *plugins.Task) uint64 {
	b.Helper()
	if err := b.worker.Slot(t.Slot).Send(t); err != nil {
		b.Fatalf("send: %v", err)
	}
	return t.Seq
}

// send sends a task to a slot and returns its seq.
func (b *bench) send(slot int, behaviour Behaviour, params string) uint64 {
	b.Helper()
	return b.sendTask(b.task(slot, behaviour, params))
}

// sendWithin sends one with a timeout.
func (b *bench) sendWithin(slot int, behaviour Behaviour, params string, timeout time.Duration) uint64 {
	b.Helper()
	t := b.task(slot, behaviour, params)
	t.Timeout = timeout
	return b.sendTask(t)
}

// probe probes slot 0.
func (b *bench) probe() plugins.Outcome {
	b.Helper()
	t := b.task(0, "", "1")
	t.ID, t.Function, t.Probe = "probe", "", true
	return b.up[0].Wait(b, "ended", b.sendTask(t)).Outcome
}

// end runs a task of slot 0 to its end.
func (b *bench) end(t *plugins.Task) plugins.Outcome {
	b.Helper()
	return b.up[t.Slot].Wait(b, "ended", b.sendTask(t)).Outcome
}

// run runs a task on slot 0 to its end.
func (b *bench) run(behaviour Behaviour, params string) plugins.Outcome {
	b.Helper()
	return b.end(b.task(0, behaviour, params))
}

// blocked is a task that runs until it is released.
type blocked struct {
	slot int
	seq  uint64
	file string // for which it waits; "": until it is stopped
}

// canBlock reports whether there is a script that blocks.
func (b *bench) canBlock() bool {
	return b.suite.Scripts[WaitsForFile] != "" || b.suite.Scripts[BlocksUntilStopped] != "" && b.worker.Description().CanCancel
}

// block starts a task that blocks and returns once it runs.
func (b *bench) block(slot int) blocked {
	b.Helper()
	t := b.blocks(slot)
	b.up[slot].Wait(b, "started", t.seq)
	return t
}

// blocks sends a task that blocks.
func (b *bench) blocks(slot int) blocked {
	b.Helper()
	stops := b.worker.Description().CanCancel
	switch {
	case stops && b.suite.Scripts[BlocksUntilStopped] != "":
		return blocked{slot: slot, seq: b.send(slot, BlocksUntilStopped, "{}")}
	case b.suite.Scripts[WaitsForFile] == "":
		b.Skipf("it can't stop a task, and there is no script for %s", WaitsForFile)
	}
	dir, err := os.MkdirTemp("", "cpulb-waits")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the worker may be another user's
		b.Fatal(err)
	}
	file := filepath.Join(dir, "go-on")
	return blocked{slot, b.send(slot, WaitsForFile, strconv.Quote(file)), file}
}

// release ends a task that blocks.
func (b *bench) release(t blocked) {
	b.Helper()
	if t.file == "" {
		b.cancel(t.slot, t.seq, plugins.StopCancelled)
	} else if err := os.WriteFile(t.file, nil, 0o644); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) cancel(slot int, seq uint64, r plugins.StopReason) plugins.Claim {
	b.Helper()
	claim, err := b.worker.Cancel(b.Context(), slot, seq, r)
	if err != nil {
		b.Fatalf("cancel: %v", err)
	}
	return claim
}

func (b *bench) recall(slot int, seq uint64) plugins.Claim {
	b.Helper()
	claim, err := b.worker.Recall(b.Context(), slot, seq)
	if err != nil {
		b.Fatalf("recall: %v", err)
	}
	return claim
}

// ended waits for the worker's end.
func (b *bench) ended() {
	b.Helper()
	select {
	case <-b.worker.Done():
	case <-b.Context().Done():
		b.Fatalf("the worker had not ended when the test was to end: %v", b.Context().Err())
	case <-time.After(b.suite.patience()):
		b.Fatalf("the worker did not end within %v", b.suite.patience())
	}
}

// outcome describes o for people.
func outcome(o plugins.Outcome) string {
	text := o.Status.String()
	if o.Status == task.Completed {
		text += " with " + task.Clip(string(o.Data), 200)
	}
	if e := o.Error; e != nil {
		text += fmt.Sprintf(" [%s] %s: %s", e.Code, e.Type, task.Clip(e.Message, 200))
	}
	switch o.Fault {
	case plugins.Unrun:
		text += ", a fault of the executor before it ran"
	case plugins.Ran:
		text += ", a fault of the executor"
	}
	if o.Spent {
		text += ", and the worker is spent"
	}
	return text
}

// blames returns why o is not a failure of the script with this code, nil if it is.
func blames(o plugins.Outcome, code string) error {
	switch {
	case o.Status != task.Failed || o.Error == nil || o.Error.Code != code:
		return fmt.Errorf("wanted a failed Result with the code %q, got %s", code, outcome(o))
	case o.Fault != plugins.NoFault:
		return errors.New("a failure of the script is told as the executor's: " + outcome(o))
	}
	return nil
}
