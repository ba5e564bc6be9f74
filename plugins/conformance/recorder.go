package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cpulb/plugins"
)

// Event is a plugins.Event, or the end of the slot; fields that its Kind does not have are
// zero.
type Event struct {
	Kind     string // "started", "ended", "skipped", "partial", "progress", "log", "output" or "lost"
	Seq      uint64
	Outcome  plugins.Outcome
	Number   uint64
	Value    string
	Fraction float64
	Level    string
	Stream   plugins.Stream
	Err      error
}

// String names the event without its content.
func (e Event) String() string {
	if e.Kind == "lost" {
		return "lost"
	}
	return fmt.Sprintf("%s %d", e.Kind, e.Seq)
}

// SlotHandler receives the events of one slot, one by one, and the end of its connection.
type SlotHandler interface {
	Event(ev *plugins.Event)
	Lost(err error)
}

// Each returns what gives a connection its Handler, which passes what comes on to those of
// its slots. Nothing is counted.
func Each(slot func(slot int) SlotHandler) func(first, count int) plugins.Handler {
	return func(first, count int) plugins.Handler {
		e := each{first, make([]SlotHandler, count)}
		for i := range e.slots {
			e.slots[i] = slot(first + i)
		}
		return e
	}
}

type each struct {
	first int
	slots []SlotHandler
}

// Events implements plugins.Handler.
func (e each) Events(events []plugins.Event) error {
	for i := range events {
		e.slots[events[i].Slot-e.first].Event(&events[i])
	}
	return nil
}

// Lost implements plugins.Handler.
func (e each) Lost(err error) {
	for _, s := range e.slots {
		s.Lost(err)
	}
}

// Room implements plugins.Handler.
func (e each) Room(int, int64) plugins.Room { return nil }

// Recorder is a SlotHandler that records its calls.
type Recorder struct {
	patience time.Duration

	mu      sync.Mutex
	events  []Event
	changed chan struct{} // closed and replaced with each event
}

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return newRecorder(forTests) }

func newRecorder(patience time.Duration) *Recorder {
	return &Recorder{patience: patience, changed: make(chan struct{})}
}

func (r *Recorder) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	close(r.changed)
	r.changed = make(chan struct{})
}

var kinds = map[plugins.Kind]string{plugins.EventStarted: "started", plugins.EventEnded: "ended", plugins.EventSkipped: "skipped",
	plugins.EventPartial: "partial", plugins.EventProgress: "progress", plugins.EventLog: "log",
	plugins.EventOutput: "output"}

// Event implements SlotHandler.
func (r *Recorder) Event(ev *plugins.Event) {
	r.add(Event{Kind: kinds[ev.Kind], Seq: ev.Seq, Outcome: ev.Outcome, Number: ev.Number, Value: string(ev.Value) + ev.Message + ev.Text,
		Fraction: ev.Fraction, Level: ev.Level, Stream: ev.Stream})
}

// Lost implements SlotHandler.
func (r *Recorder) Lost(err error) { r.add(Event{Kind: "lost", Err: err}) }

// Events returns what has been recorded so far.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}

// forTests is how long a Recorder of a Go test waits before it takes the test for hung: a
// busy machine must not fail it.
const forTests = 10 * time.Minute

// Wait returns the first event of that kind and seq. It fails the test when the
// slot is lost meanwhile, or nothing comes.
func (r *Recorder) Wait(t T, kind string, seq uint64) Event {
	t.Helper()
	return r.wait(t, fmt.Sprintf("%s %d", kind, seq), func(e Event) bool {
		if e.Kind == "skipped" && e.Seq == seq && kind != e.Kind {
			t.Fatalf("task %d was skipped; wanted that it is %s", seq, kind)
		}
		return e.Kind == kind && e.Seq == seq
	})
}

// WaitAnswered returns the event that answers seq: its Result or its refusal.
func (r *Recorder) WaitAnswered(t T, seq uint64) Event {
	t.Helper()
	return r.wait(t, fmt.Sprintf("an answer to %d", seq),
		func(e Event) bool { return e.Seq == seq && (e.Kind == "ended" || e.Kind == "skipped") })
}

// WaitLost waits for the end of the slot.
func (r *Recorder) WaitLost(t T) {
	t.Helper()
	r.wait(t, "the end of the slot", func(e Event) bool { return e.Kind == "lost" })
}

// WaitAny returns the first event of one of these kinds.
func (r *Recorder) WaitAny(t T, kinds ...string) Event {
	t.Helper()
	return r.wait(t, strings.Join(kinds, " or "), func(e Event) bool { return slices.Contains(kinds, e.Kind) })
}

func (r *Recorder) wait(t T, what string, is func(Event) bool) Event {
	t.Helper()
	giveUp := time.After(r.patience)
	for {
		r.mu.Lock()
		events, changed := r.events, r.changed
		r.mu.Unlock()
		for _, e := range events {
			if is(e) {
				return e
			}
			if e.Kind == "lost" {
				t.Fatalf("the slot was lost (%v) before %s; recorded: %s", e.Err, what, said(events))
			}
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("%s had not come when the test was to end (%v); recorded: %s", what, t.Context().Err(), said(events))
		case <-giveUp:
			t.Fatalf("%s did not come within %v; recorded: %s", what, r.patience, said(events))
		}
	}
}

// Of returns the names of the events that have come for seq, in order.
func (r *Recorder) Of(seq uint64) string {
	var of []Event
	for _, e := range r.Events() {
		if e.Seq == seq && e.Kind != "lost" {
			of = append(of, e)
		}
	}
	return names(of)
}

// said lists the last of events, for people.
func said(events []Event) string {
	const most = 12
	switch n := len(events); {
	case n == 0:
		return "nothing"
	case n > most:
		return fmt.Sprintf("%d events, at last %s", n, names(events[n-most:]))
	}
	return names(events)
}

func names(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.String())
	}
	return strings.Join(all, ", ")
}
