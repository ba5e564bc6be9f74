package task_test

import (
	"sync"
	"testing"

	"cpulb/daemon/task"
)

func TestEventsArePassedOnInTheirOrderWhoeverDoesIt(t *testing.T) {
	const n, several = 10_000, 4
	var h task.Heard
	var passed []uint64 // by one goroutine at a time, as -race sees
	var all sync.WaitGroup
	var order sync.Mutex
	next := uint64(0)
	for range several {
		all.Go(func() {
			for range n {
				order.Lock()
				next++
				h.Hear(&task.Event{Cursor: task.Cursor{Seq: next}})
				order.Unlock()
				h.Each(func(ev *task.Event) { passed = append(passed, ev.Cursor.Seq) })
			}
		})
	}
	all.Wait()
	if len(passed) != n*several {
		t.Fatalf("%d of %d were passed on", len(passed), n*several)
	}
	for i, seq := range passed {
		if seq != uint64(i+1) {
			t.Fatalf("%d came as number %d", seq, i+1)
		}
	}
}

func TestWhatIsHeardWhileItIsPassedOnFollows(t *testing.T) {
	var h task.Heard
	var passed []task.EventKind
	h.Hear(&task.Event{Kind: task.EventState})
	h.Each(func(ev *task.Event) {
		passed = append(passed, ev.Kind)
		if ev.Kind == task.EventState {
			h.Hear(&task.Event{Kind: task.EventResult})
			h.Each(func(*task.Event) { t.Error("there are two at it") })
		}
	})
	if len(passed) != 2 || passed[1] != task.EventResult {
		t.Error(passed)
	}
}
