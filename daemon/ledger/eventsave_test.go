package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/ledger"
	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

// chunks is what is saved of an event log.
type chunks []ledger.Chunk

func (c chunks) save(t *rapid.T, r *ledger.Record, most int64) chunks {
	x, more := r.Unsaved(most)
	if len(x.Events) == 0 {
		return c
	}
	if n := len(c); n > 0 && x.Number <= c[n-1].Number {
		t.Fatalf("chunk %d follows %d", x.Number, c[n-1].Number)
	}
	if x.Whole {
		c = nil
	}
	if c = append(c, x); more {
		return c.save(t, r, most)
	}
	return c
}

func (c chunks) events() (all []*task.Event) {
	for _, x := range c {
		for _, ev := range x.Events {
			y := *ev
			all = append(all, &y)
		}
	}
	return all
}

// weigh counts all events that a log stands for, gaps by what they stand for.
func weigh(all []*task.Event) (n uint64) {
	for _, ev := range all {
		n += max(ev.Missed, 1)
	}
	return n
}

// However many notes have made room since they were saved: what is restored stands for all
// events, none of them twice, with every value; and what is saved is not much more than
// what is kept.
func TestASavedEventLogIsRestoredWithAllThatItStandsFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &task.Task{ID: task.NewID(), Extra: &task.Extras{}}
		bounds := ledger.EventBounds{PartialBytes: 20 << 10, NoteBytes: 20 << 10}
		r := &ledger.Record{Task: k, Pool: pool("p"), Attempts: 1}
		r.Mark()
		var kept chunks
		told, lives := uint64(0), uint32(0)
		var values []string
		t.Repeat(map[string]func(*rapid.T){
			"event": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "n") {
					ev := &task.Event{Kind: task.EventLog, Message: strings.Repeat("x", rapid.SampledFrom([]int{0, 300, 4000}).Draw(t, "size"))}
					if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
						ev = &task.Event{Kind: task.EventPartial, Value: fmt.Append(nil, told)}
					}
					r.Note(ev, bounds)
					told++
				}
			},
			"save": func(t *rapid.T) {
				kept = kept.save(t, r, rapid.SampledFrom([]int64{2000, 1 << 30}).Draw(t, "at once"))
			},
			"restart": func(t *rapid.T) {
				kept = kept.save(t, r, rapid.SampledFrom([]int64{2000, 1 << 30}).Draw(t, "at once"))
				lives++
				before, _ := r.Log().After(task.Cursor{}, everything)
				values = nil
				for _, ev := range before {
					values = append(values, string(ev.Value))
				}
				r = &ledger.Record{Task: k, Pool: pool("p"), Attempts: 1, Lives: lives}
				r.Mark()
				all := kept.events()
				last := uint32(0)
				if len(kept) > 0 {
					last = kept[len(kept)-1].Number
				}
				r.RestoreLog(all, last, bounds)
				if told == 0 {
					return
				}
				after, _ := r.Log().After(task.Cursor{}, everything)
				if n := weigh(after); n != told {
					t.Fatalf("%d events are restored as %d", told, n)
				}
				ordered := slices.IsSortedFunc(after, func(a, b *task.Event) int { return a.Cursor.Compare(b.Cursor) })
				var again []string
				for _, ev := range after {
					again = append(again, string(ev.Value))
				}
				with := func(all []string) []string { return slices.DeleteFunc(all, func(v string) bool { return v == "" }) }
				if !ordered || !slices.Equal(with(values), with(again)) {
					t.Fatalf("%s become %s", values, again)
				}
			},
			"": func(t *rapid.T) {
				size := 0
				for _, ev := range kept.events() {
					size += 200 + len(ev.Value) + len(ev.Message) + len(ev.Level)
				}
				if size > 400<<10 {
					t.Fatalf("%d bytes are saved", size)
				}
			},
		})
	})
}
