package plugins

import "fmt"

// Handler receives what the slots of one connection send. The connection's reader
// goroutine makes the calls, one at a time; but for Room they must not block, for that
// holds up the slots.
type Handler interface {
	// Events hands over what has come together, in its order. The slice is lent; what the
	// events refer to belongs to the callee. An error means that they can't be true: the
	// connection is closed, and Lost is called with that error.
	Events(events []Event) error
	// Lost is the last call: the connection has ended.
	Lost(err error)
	// Room returns once there is room in memory for n bytes of what a slot has announced;
	// it is the only call that may wait. nil: it is not counted.
	Room(slot int, n int64) Room
}

// Kind is what an Event tells.
type Kind uint8

// The kinds of Events, and which fields they have beside Slot and Seq.
const (
	// EventStarted: the task has been claimed and runs. A task that ends soon may have none.
	EventStarted Kind = iota + 1
	// EventEnded has Outcome.
	EventEnded
	// EventSkipped has NeedsThread: the task will not run here, because the worker drains, or
	// because the task needs a thread and the slot is on a loop.
	EventSkipped
	// EventPartial has Number and Value.
	EventPartial
	// EventProgress has Fraction and Message.
	EventProgress
	// EventLog has Level and Message.
	EventLog
	// EventOutput has Stream and Text.
	EventOutput
)

// Stream is where a task prints to.
type Stream uint8

// The streams.
const (
	Stdout Stream = iota + 1
	Stderr
)

// String implements fmt.Stringer.
func (k Kind) String() string {
	switch k {
	case EventStarted:
		return "Started"
	case EventEnded:
		return "Result"
	case EventSkipped:
		return "Skipped"
	case EventPartial:
		return "Partial"
	case EventProgress:
		return "Progress"
	case EventLog:
		return "Log"
	case EventOutput:
		return "Output"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Event is something that a slot tells of a task that it was sent.
type Event struct {
	Kind Kind
	Slot int
	Seq  uint64
	// Outcome's Data, and Value, are JSON on one line.
	Outcome        Outcome
	NeedsThread    bool
	Number         uint64
	Value          []byte
	Fraction       float64
	Level, Message string
	Stream         Stream
	Text           string
}

// Room is what Handler.Room has taken, for one caller.
type Room interface {
	// Give gives n bytes of it back.
	Give(n int64)
}

// Held is the room of an Outcome that is large. It is given back once Handler.Events has
// returned, unless that keeps it.
type Held struct {
	room Room
	n    int64
	kept bool
}

// Keep leaves it to the caller to give it back, with Give. It is for Handler.Events.
func (h *Held) Keep() *Held {
	if h != nil {
		h.kept = true
	}
	return h
}

// Give gives it back, once.
func (h *Held) Give() {
	if h != nil {
		h.room.Give(h.n)
	}
}
