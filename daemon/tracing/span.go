package tracing

import (
	"time"

	"cpulb/daemon/task"
)

// The names of spans.
const (
	Submit = "submit"
	Queue  = "queue"
	Run    = "run"
)

// Span is one that has ended, of a sampled trace.
type Span struct {
	Name string
	// Context is its own, Parent that of the span above it; zero: there is none.
	Context, Parent Context
	// Before is the run of the attempt before; zero: there was none.
	Before     Context
	Start, End time.Time

	Task *task.Task
	// Owner is the uid of its caller.
	Owner uint32
	Pool  string
	// Attempt is which one, from 1; 0 for a submit.
	Attempt uint32
	// Worker is where it ran; nil for all but a run.
	Worker *task.Worker
	// Status is how a run ended, or the task that ended while it was in the queue; Pending: it
	// has not.
	Status task.Status
	// Error is why it is not as it should be; nil: it is.
	Error *task.Error
}

// MostWaiting is how many spans a Sink may have that have not been sent.
const MostWaiting = 4096

// Sink takes spans on their way to where people look at them.
type Sink interface {
	// Span takes one. It does not block: when there is no room the span is dropped.
	Span(Span)
	// Counts returns how many spans have arrived, and how many were dropped because there was no
	// room for them or nobody took them.
	Counts() (sent, dropped uint64)
}
