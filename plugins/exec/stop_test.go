package exec

import (
	"testing"

	"cpulb/plugins"
	"cpulb/plugins/program"
)

// The goroutine that stops a task may be kept waiting until the slot's next task runs.
func TestALateStopDoesNotReachTheNextTask(t *testing.T) {
	s, err := (&Executor{conf: plugins.Configuration{Slots: 1}}).OpenSlot(0)
	if err != nil {
		t.Fatal(err)
	}
	slot := s.(*slot)
	run := func(seq uint64) *rungs {
		if reason := slot.stops.Begin(seq, 0); reason != 0 {
			t.Fatalf("task %d is stopped: %v", seq, reason)
		}
		r := &rungs{seq: seq}
		slot.rungs.Store(r)
		return r
	}
	wired := slot.stops
	var next *rungs
	slot.stops = program.NewStops(func(seq uint64, reason plugins.StopReason) {
		slot.stops.End()
		next = run(2)
		slot.stop(seq, reason)
	})
	run(1)
	slot.Cancel(1, plugins.StopCancelled)
	if next == nil || next.asked {
		t.Errorf("the next task: %+v", next)
	}
	slot.stops = wired
	if r := run(3); r.asked {
		t.Error("task 3 is asked to stop before it is cancelled")
	} else if slot.Cancel(3, plugins.StopCancelled); !r.asked {
		t.Error("a task that runs is not asked to stop")
	}
}
