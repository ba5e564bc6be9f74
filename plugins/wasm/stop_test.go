package wasm

import (
	"context"
	"testing"

	"cpulb/plugins"
	"cpulb/plugins/program"
)

// The goroutine that stops a task may be kept waiting until the slot's next task runs.
func TestALateStopDoesNotReachTheNextTask(t *testing.T) {
	s, err := New("").OpenSlot(0)
	if err != nil {
		t.Fatal(err)
	}
	slot := s.(*slot)
	run := func(seq uint64) context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		slot.setStop(seq, cancel)
		if reason := slot.stops.Begin(seq, 0); reason != 0 {
			t.Fatalf("task %d is stopped: %v", seq, reason)
		}
		return ctx
	}
	wired := slot.stops
	var next context.Context
	slot.stops = program.NewStops(func(seq uint64, reason plugins.StopReason) {
		slot.stops.End()
		next = run(2)
		slot.stopRun(seq, reason)
	})
	run(1)
	slot.Cancel(1, plugins.StopCancelled)
	if next == nil || next.Err() != nil {
		t.Error("the next task is stopped")
	}
	slot.stops = wired
	if ctx := run(3); ctx.Err() != nil {
		t.Error("task 3 is stopped before it is cancelled")
	} else if slot.Cancel(3, plugins.StopCancelled); ctx.Err() == nil {
		t.Error("a task that runs is not stopped")
	}
}
