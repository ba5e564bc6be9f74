package ledger_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

// part is an output event.
func part(text string, offset int64) *task.Event {
	return &task.Event{Kind: task.EventOutput, Stream: task.Stdout, Text: text, Offset: &offset}
}

func kindsOf(all []*task.Event) string {
	var kinds []string
	for _, ev := range all {
		kinds = append(kinds, string(ev.Kind))
	}
	return strings.Join(kinds, " ")
}

// What a task prints is kept for late readers while it runs; its Result has it from then on.
func TestWhatIsPrintedIsKeptUntilTheResult(t *testing.T) {
	for with, want := range map[string]struct{ before, after string }{
		"nothing else": {"output output", "result"},
		"a log line":   {"log output output", "log result"},
	} {
		s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
		r := add(s, plain())
		if with == "a log line" {
			r.Note(note("begun"), wide)
		}
		r.Note(part("a", 0), wide)
		r.Note(part("b", 1), wide)
		log := r.Log()
		some, _ := log.After(task.Cursor{}, everything)
		if kindsOf(some) != want.before {
			t.Errorf("%s: while it runs: %s", with, kindsOf(some))
		}
		_, more := log.After(r.Cursor(), everything)
		move(t, s, r, ledger.Ready, ledger.Ending)
		end(t, s, r, task.Completed)
		s.Announce(r, wide)
		<-more
		for who, log := range map[string]*ledger.EventLog{"who follows": log, "who comes later": r.Log()} {
			if some, _ := log.After(task.Cursor{}, everything); kindsOf(some) != want.after {
				t.Errorf("%s: %s: %s", with, who, kindsOf(some))
			}
		}
		if r.HasLog() != (with == "a log line") {
			t.Errorf("%s: it has a log: %v", with, r.HasLog())
		}
	}
}

// Whatever a task prints beside what it reports: the journal has the reports alone, in memory there is
// not more than the bound, and no report makes room for it.
func TestWhatIsPrintedIsBoundedAndNotSaved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := ledger.EventBounds{PartialBytes: 10_000, NoteBytes: 10_000}
		s := ledger.NewStore(ledger.Bounds{Max: 1})
		r := add(s, plain())
		r.Attempts = 1
		r.Mark()
		log := r.Log()
		told, saved, offset := 1, 0, int64(0) // the log begins with a state
		save := func() {
			for more := true; more; {
				var c ledger.Chunk
				if c, more = r.Unsaved(rapid.SampledFrom([]int64{500, math.MaxInt64}).Draw(t, "at once")); c.Whole {
					saved = 0
				}
				saved += len(c.Events)
				if strings.Contains(kindsOf(c.Events), "output") {
					t.Fatalf("saved: %s", kindsOf(c.Events))
				}
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			if rapid.IntRange(0, 9).Draw(t, "kind") == 0 && told < 20 {
				r.Note(note("x"), b)
				told++
				save()
				continue
			}
			text := strings.Repeat("x", rapid.SampledFrom([]int{1, 100, 3000}).Draw(t, "size"))
			r.Note(part(text, offset), b)
			offset += int64(len(text))
		}
		save()
		kept, size, next := 0, int64(0), int64(-1)
		all, _ := log.After(task.Cursor{Attempt: -1}, everything)
		for _, ev := range all {
			if ev.Kind != task.EventOutput {
				kept++
				continue
			}
			if next >= 0 && *ev.Offset != next {
				t.Fatalf("a part at %d follows one that ends at %d", *ev.Offset, next)
			}
			next = *ev.Offset + int64(len(ev.Text))
			size += ledger.SizeOf(ev)
		}
		if kept != told || saved != told || strings.Contains(kindsOf(all), "gap") {
			t.Fatalf("of %d reports %d are kept and %d saved: %s", told, kept, saved, kindsOf(all))
		}
		if size > b.NoteBytes || next >= 0 && next != offset {
			t.Fatalf("%d bytes are kept, up to %d of %d", size, next, offset)
		}
	})
}

// A task that prints and reports in turn for ever has no more gaps than one that reports.
func TestGapsBetweenWhatWasPrintedAreMerged(t *testing.T) {
	b := ledger.EventBounds{PartialBytes: 10_000, NoteBytes: 10_000}
	r := add(ledger.NewStore(ledger.Bounds{Max: 1}), plain())
	for i := range int64(10_000) {
		r.Note(note("x"), b)
		r.Note(part("x", i), b)
	}
	all, _ := r.Log().After(task.Cursor{}, everything)
	if gaps := strings.Count(kindsOf(all), "gap"); gaps > int(b.NoteBytes)/200 || len(all) > 3*int(b.NoteBytes)/200 {
		t.Errorf("%d events, of which %d are gaps", len(all), gaps)
	}
}
