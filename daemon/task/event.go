package task

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// EventKind is the kind of an Event.
type EventKind string

// The kinds of event, as on the API.
const (
	EventState    EventKind = "state"
	EventPartial  EventKind = "partial"
	EventProgress EventKind = "progress"
	EventLog      EventKind = "log"
	EventOutput   EventKind = "output"
	EventGap      EventKind = "gap"
	EventResult   EventKind = "result"
)

// Event is one thing that happened to a task. Only the fields of its kind are
// set; Result is the last event of every task.
type Event struct {
	Kind   EventKind `json:"event"`
	ID     ID        `json:"task_id"`
	Cursor Cursor    `json:"cursor"`
	// Status is set for EventState.
	Status *Status `json:"status,omitempty"`
	// Value is set for EventPartial.
	Value json.RawMessage `json:"value,omitempty"`
	// Fraction, 0 to 1, is set for EventProgress.
	Fraction *float64 `json:"fraction,omitempty"`
	// Level is set for EventLog; Message for EventLog and EventProgress.
	Level   string `json:"level,omitempty"`
	Message string `json:"message,omitempty"`
	// Stream, Text and Offset are set for EventOutput: what an attempt has printed to a stream
	// since its last one, and how many bytes it had printed there before. Who finds more before
	// it than it has seen has missed some, which the Result has.
	Stream Stream `json:"stream,omitempty"`
	Text   string `json:"text,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
	// Missed is set for EventGap: how many events up to and including Cursor were
	// dropped because nobody read them in time.
	Missed uint64 `json:"missed,omitempty"`
	// From is the cursor of the first of these. Clients do not see it.
	From Cursor `json:"-"`
	// Result is set for EventResult.
	Result *Result `json:"result,omitempty"`
}

// Stream is where a task prints to.
type Stream string

// The streams, as on the API.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Cursor is an event's place among those of its task: "attempt.seq".
type Cursor struct {
	Attempt int
	Seq     uint64
}

// MarshalText implements encoding.TextMarshaler.
func (c Cursor) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d.%d", c.Attempt, c.Seq), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Cursor) UnmarshalText(text []byte) error {
	attempt, seq, _ := strings.Cut(string(text), ".")
	a, err := strconv.ParseUint(attempt, 10, 31)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	if err != nil || err2 != nil {
		return &FieldError{Field: "cursor", Problem: fmt.Sprintf(`%q is not a cursor such as "1.42"`, clip(string(text)))}
	}
	*c = Cursor{Attempt: int(a), Seq: n}
	return nil
}

// Compare returns a negative number if c comes before d, zero if they are the
// same, else a positive number.
func (c Cursor) Compare(d Cursor) int {
	return cmp.Or(cmp.Compare(c.Attempt, d.Attempt), cmp.Compare(c.Seq, d.Seq))
}

// Watcher receives the events of a task, in two steps, so that they keep their order although
// several of the engine's goroutines pass them on. Heard does what they have in common.
type Watcher interface {
	// Hear takes in ev, the next event, which the watcher must not change. The last one has
	// Kind EventResult. It is called under the engine's lock: all that it does is to keep ev.
	Hear(ev *Event)
	// PassOn passes on what was heard, in its order, from any goroutine and perhaps from two.
	// It must not block: a watcher that writes to a client queues what it writes.
	PassOn()
	// Verbose reports whether the watcher wants more than the result.
	Verbose() bool
	// Outlet is where its events go, if others go there, too; nil: nowhere else.
	Outlet() Outlet
}

// Outlet is where the events of several tasks leave for one client. Its methods do not block.
type Outlet interface {
	// Cork holds back what goes out from now on, until Uncork: so that it is one write.
	Cork()
	Uncork()
}
