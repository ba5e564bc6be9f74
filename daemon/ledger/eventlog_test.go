package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

// item gives r a place in a queue of its own.
func item(r *ledger.Record) *queue.Item[*ledger.Record] {
	it, err := queue.New[*ledger.Record](queue.Options{Lanes: 1, MaxTasks: 1}).Push(queue.Now{Wall: now, Uptime: uptime}, r, queue.Entry{})
	if err != nil {
		panic(err)
	}
	return it
}

// watcher wants everything, or the result alone.
type watcher bool

func (watcher) Hear(*task.Event)    {}
func (watcher) PassOn()             {}
func (w watcher) Verbose() bool     { return bool(w) }
func (watcher) Outlet() task.Outlet { return nil }

var everything = ledger.Portion{Items: 1 << 30, Bytes: 1 << 40}

var wide = ledger.EventBounds{PartialBytes: 1 << 20, NoteBytes: 1 << 20}

func note(text string) *task.Event {
	return &task.Event{Kind: task.EventLog, Level: "info", Message: text}
}

func TestEventsAreKeptOnceSomebodyMayAskForThem(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	r := add(s, plain())
	if ev, to := r.NoteStatus("", wide); ev != nil || to != nil {
		t.Errorf("nobody listens and %v was told to %v", ev, to)
	}
	r.Watch(ledger.Watching{Watcher: watcher(true)})
	r.Watch(ledger.Watching{Watcher: watcher(false)})
	ev, to := r.NoteStatus("why", wide)
	if ev.Cursor.Seq != 2 || *ev.Status != task.Pending || ev.Message != "why" || len(to) != 1 {
		t.Errorf("%+v for %v", ev, to)
	}
	r.Note(note("kept"), wide)
	log := r.Log()
	if got, _ := log.After(task.Cursor{}, everything); len(got) != 1 || got[0].Message != "kept" || got[0].ID != r.Task.ID {
		t.Errorf("kept: %v", got)
	}
	none, more := log.After(r.Cursor(), everything)
	if none != nil {
		t.Errorf("after the last: %v", none)
	}
	move(t, s, r, ledger.Ready, ledger.Ending)
	end(t, s, r, task.Completed)
	last, all := s.Announce(r, wide)
	<-more
	if last.Kind != task.EventResult || last.Result != r.Result() || len(all) != 2 || s.Got() != 2 {
		t.Errorf("the last event: %+v for %v", last, all)
	}
	if got, _ := log.After(task.Cursor{}, everything); len(got) != 2 || got[1] != last {
		t.Errorf("in the log: %v", got)
	}
}

func TestALogOfALateReaderBeginsWithWhatIsKnown(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	r := add(s, plain())
	if got, _ := r.Log().After(task.Cursor{Attempt: -1}, everything); len(got) != 1 || *got[0].Status != task.Pending {
		t.Errorf("of a task that waits: %v", got)
	}
	r = ended(t, s, plain())
	if ev, to := s.Announce(r, wide); ev != nil || to != nil {
		t.Errorf("nobody listened and %v was told to %v", ev, to)
	}
	if got, _ := r.Log().After(task.Cursor{}, everything); len(got) != 1 || got[0].Result != r.Result() {
		t.Errorf("of one that has ended: %v", got)
	}
	s.Given(3)
	if s.Got() != 3 || s.Put() != 1 {
		t.Errorf("%d were given, %d have ended", s.Got(), s.Put())
	}
}

// Progress and log events stay within their bound, and gaps say how many are missing;
// partial results are kept up to theirs.
func TestALogStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := ledger.EventBounds{PartialBytes: rapid.Int64Range(0, 5000).Draw(t, "partials"), NoteBytes: rapid.Int64Range(0, 5000).Draw(t, "notes")}
		s := ledger.NewStore(ledger.Bounds{Max: 1})
		r := add(s, plain())
		n := rapid.IntRange(1, 200).Draw(t, "events")
		for i := range n {
			ev := note(fmt.Sprint(i))
			if rapid.Bool().Draw(t, "partial") {
				ev = &task.Event{Kind: task.EventPartial, Value: make([]byte, rapid.IntRange(0, 300).Draw(t, "size"))}
			}
			r.Note(ev, b)
		}
		got, _ := r.Log().After(task.Cursor{}, everything)
		var notes, partials int64
		total, last := 0, task.Cursor{}
		for _, ev := range got {
			switch ev.Kind {
			case task.EventGap:
				total += int(ev.Missed)
			case task.EventPartial:
				partials += 200 + int64(len(ev.Value))
				total++
			default:
				notes += 200 + int64(len(ev.Message)+len(ev.Level))
				total++
			}
			if ev.Cursor.Compare(last) <= 0 {
				t.Fatalf("%+v comes after %+v", ev.Cursor, last)
			}
			last = ev.Cursor
		}
		if total != n || notes > b.NoteBytes || partials > b.PartialBytes+200 {
			t.Fatalf("%d of %d events, %d bytes of notes, %d of partials, bounds %+v", total, n, notes, partials, b)
		}
	})
}

// Whether an attempt is taken back, on disk or not, before or after the daemon dies.
func TestCursorsNeverGoBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10})
		k := plain()
		r := add(s, k)
		var last task.Cursor
		var noted, lives uint32
		var under bool // an attempt is under way
		event := func() {
			ev := &task.Event{Kind: task.EventProgress}
			if r.Note(ev, ledger.EventBounds{PartialBytes: 1 << 20, NoteBytes: 1 << 20}); ev.Cursor.Compare(last) <= 0 {
				t.Fatalf("%+v comes after %+v", ev.Cursor, last)
			}
			last = ev.Cursor
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"attempt", "attempt", "taken back", "restart"}).Draw(t, "then") {
			case "attempt": // which is noted before
				r.Attempts++
				noted, under = r.Attempts, true
				r.Mark()
			case "taken back":
				if !under {
					continue
				}
				under = false
				r.Attempts--
				if rapid.Bool().Draw(t, "on disk, too") {
					noted = r.Attempts
				}
			case "restart":
				lives, under = lives+1, false
				r = &ledger.Record{Task: k, Pool: pool("p"), Attempts: noted, Lives: lives}
				r.Mark()
			}
			event()
		}
	})
}

// Whatever is told of a task, and whoever reads how much of it at a time: its events are
// bounded in number and size, gaps are merged, and a reader gets all that is kept, once.
func TestTheEventsOfOneTaskAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := ledger.EventBounds{PartialBytes: 10_000, NoteBytes: 10_000}
		const stateBytes = 1 << 20
		s := ledger.NewStore(ledger.Bounds{Max: 1})
		r := add(s, plain())
		log := r.Log()
		var at task.Cursor
		read, told := uint64(0), uint64(1)
		look := func(p ledger.Portion) bool {
			some, _ := log.After(at, p)
			if len(some) > max(p.Items, 1) {
				t.Fatalf("%d at once, not %d", len(some), p.Items)
			}
			for _, ev := range some {
				if ev.Cursor.Compare(at) <= 0 {
					t.Fatalf("%v comes after %v", ev.Cursor, at)
				}
				at = ev.Cursor
				read += max(ev.Missed, 1)
			}
			return len(some) > 0
		}
		at = task.Cursor{Attempt: -1}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			kind := rapid.SampledFrom([]task.EventKind{task.EventPartial, task.EventLog, task.EventState, task.EventProgress, "mixed", "read"}).Draw(t, "kind")
			n := rapid.SampledFrom([]int{1, 10, 100, 4000}).Draw(t, "n")
			if kind == "read" {
				look(ledger.Portion{Items: n, Bytes: int64(n)})
				continue
			}
			for i := range n {
				ev := &task.Event{Kind: kind}
				if kind == "mixed" {
					ev.Kind = []task.EventKind{task.EventPartial, task.EventLog}[i%2]
				}
				if ev.Kind == task.EventState {
					status := task.Pending
					ev.Status = &status
				}
				r.Note(ev, b)
				told++
			}
		}
		kept, _ := log.After(task.Cursor{Attempt: -1}, everything)
		if most := 2*int(b.PartialBytes+b.NoteBytes+stateBytes)/200 + 2; len(kept) > most {
			t.Fatalf("%d events are kept, at most %d were expected", len(kept), most)
		}
		if n := weigh(kept); n != told {
			t.Fatalf("%d events are kept as %d", told, n)
		}
		for i := range kept[1:] {
			if kept[i].Kind == task.EventGap && kept[i+1].Kind == task.EventGap {
				t.Fatalf("gaps that were not merged: %+v %+v", kept[i], kept[i+1])
			}
		}
		for look(ledger.Portion{Items: 7, Bytes: 2000}) {
		}
		if read != told {
			t.Fatalf("%d events were read as %d", told, read)
		}
	})
}
