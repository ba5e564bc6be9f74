package journal

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// someEvents are the events first to last of a task, of all kinds and several attempts.
func someEvents(first, last uint64) *Events {
	x := &Events{Chunk: 1}
	for n := first; n <= last; n++ {
		ev := &task.Event{Cursor: task.Cursor{Attempt: int(n / 10), Seq: n}}
		switch n % 5 {
		case 0:
			ev.Kind, ev.Status, ev.Message = task.EventState, new(task.Statuses()[n%uint64(len(task.Statuses()))]), "why"
		case 1:
			ev.Kind, ev.Value = task.EventPartial, json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))
		case 2:
			ev.Kind, ev.Fraction, ev.Message = task.EventProgress, new(0.0), "half\nway"
		case 3:
			ev.Kind, ev.Level, ev.Message = task.EventLog, "info", "ü"
		case 4:
			ev.Kind, ev.Missed, ev.From = task.EventGap, n, task.Cursor{Attempt: 1, Seq: n - 4}
		}
		x.Events = append(x.Events, ev)
	}
	return x
}

func sameEvents(x, y []*task.Event) bool {
	return slices.EqualFunc(x, y, func(a, b *task.Event) bool {
		if a.Fraction != nil && b.Fraction != nil && *a.Fraction != *a.Fraction { // NaN
			return *b.Fraction != *b.Fraction
		}
		return reflect.DeepEqual(a, b)
	})
}

func TestEventsAreReadAsTheyWereWritten(t *testing.T) {
	x := someEvents(1, 100)
	y, err := decodeEvents(x.encode(nil))
	if err != nil || !sameEvents(x.Events, y) {
		t.Errorf("%v, %d events", err, len(y))
	}
}

// A hundred values cost little more than what they are.
func TestEventsAreLean(t *testing.T) {
	x := &Events{}
	for n := range uint64(100) {
		x.Events = append(x.Events, &task.Event{Kind: task.EventPartial, Cursor: task.Cursor{Attempt: 1, Seq: n + 2}, Value: []byte(`"` + strings.Repeat("x", 58) + `"`)})
	}
	if n := len(x.encode(nil)); n > 67*100 {
		t.Errorf("100 values of 60 bytes take %d", n)
	}
}

func TestWholeEventsReplaceThoseBeforeAndAllGoWithTheirTask(t *testing.T) {
	d := newMemory()
	j := openMemory(t, d, "boot")
	a := newTask(1, "")
	chunk := func(number uint32, whole bool, first, last uint64) Op {
		return Op{Submitted: a.Submitted, Events: &Events{Chunk: number, Whole: whole, Events: someEvents(first, last).Events}}
	}
	must(t, j.commitNow(Op{Accepted: &a}, chunk(1, true, 1, 10)))
	must(t, j.commitNow(chunk(2, false, 11, 20)))
	must(t, j.commitNow(chunk(3, true, 15, 25)))
	must(t, j.commitNow(chunk(4, false, 26, 30), Op{Submitted: a.Submitted, Ended: end(t, &a, "1")}))
	for range 2 {
		closeNow(t, j)
		j = openMemory(t, d, "boot")
		found := all(t, j)
		if len(found) != 1 || found[0].Chunk != 4 || found[0].Ended == nil || !sameEvents(found[0].Events, someEvents(15, 30).Events) {
			t.Fatalf("%+v", found)
		}
	}
	must(t, j.commitNow(Op{Submitted: a.Submitted, Forget: true}))
	must(t, j.commitNow(chunk(5, false, 31, 40))) // which comes too late
	if n := j.log.index.total(); n != 0 {
		t.Errorf("%d bytes are still needed", n)
	}
	closeNow(t, j)
}
