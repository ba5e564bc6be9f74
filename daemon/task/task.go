// Package task holds the domain types that every other package uses: Task, Result,
// Event, Status, and the errors about tasks at the engine's boundary. It is a leaf:
// it imports nothing of this module, does no I/O and starts no goroutine.
//
// JSON names are those of the socket API. A Task is immutable once submitted.
//
// Tasks are read by a scanner of this package's own (scan.go, kinds.go):
// encoding/json builds each value twice, accepts a name that comes twice, and matches
// names in any case. Fuzzing holds it to encoding/json. Once encoding/json/jsontext
// is no longer an experiment, it should replace the scanner.
package task

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// ID identifies a task permanently. Clients may make it before they send the task.
type ID = uuid.UUID

// NewID returns a fresh UUIDv7 (RFC 9562), which sorts by time of creation.
func NewID() ID { return uuid.Must(uuid.NewV7()) }

// ParseID reads an id in its canonical 36-character form.
func ParseID(text string) (ID, error) { return parseID([]byte(text)) }

func parseID(text []byte) (ID, error) {
	id, err := uuid.ParseBytes(text)
	if err != nil || len(text) != 36 {
		return ID{}, &FieldError{Field: "task_id", Problem: fmt.Sprintf("%q is not a UUID", clip(string(text)))}
	}
	return id, nil
}

// Type is the kind of work of a task, which decides the pool that suits it.
type Type string

// The task types.
const (
	CPUBound Type = "cpu_bound"
	IOBound  Type = "io_bound"
)

// Types lists the task types.
func Types() []string { return []string{string(CPUBound), string(IOBound)} }

// LostPolicy decides what happens to a task that was running when its worker, or the
// daemon, died.
type LostPolicy string

// The policies for lost workers.
const (
	// Requeue runs the task again, so it may run more than once. The default.
	Requeue LostPolicy = "requeue"
	// Fail ends the task, so it runs at most once.
	Fail LostPolicy = "fail"
)

// LostPolicies lists the policies for lost workers.
func LostPolicies() []string { return []string{string(Requeue), string(Fail)} }

// Defaults of a task.
const (
	DefaultPriority     = 5
	DefaultFunction     = "main"
	DefaultRetryBackoff = Duration(time.Second)
)

// Task is what a caller submits. Its JSON is the table in fields.go.
type Task struct {
	ID ID
	// ScriptPath is absolute; it is empty if Extras has the Source.
	ScriptPath string
	// Function is the entry point.
	Function string
	// Params is JSON text, passed to the script unchanged; the default is {}.
	Params json.RawMessage
	Type   Type
	// Pool narrows the choice of pool; empty means any.
	Pool string
	// Priority is 0 to 9, 9 first.
	Priority int
	// Timeout bounds one attempt, from its start; 0 means none.
	Timeout Duration
	Labels  map[string]string
	// Extra is nil for a task without any of its fields. Write through it, read with
	// the method Extras.
	Extra *Extras
}

// Extras holds the fields that few tasks have. They are not in Task because a million
// tasks may wait in memory.
type Extras struct {
	// Source is the script's text, instead of ScriptPath.
	Source string
	// Executor narrows the choice of pool to those that have it; empty means any.
	Executor string
	// Traceparent is what the script finds in its context (W3C Trace Context).
	Traceparent string
	// ExpiresAt is when a task that has not started fails as expired.
	ExpiresAt time.Time
	// MaxRetries is how often a failed attempt is followed by another one, after
	// RetryBackoff, twice that, and so on.
	MaxRetries   int
	RetryBackoff Duration
	// RunAt, or Delay from submission, is the earliest start of the task.
	RunAt time.Time
	Delay Duration
	// IdempotencyKey makes a second task of the same owner with the same key mean the
	// first one. Of the tasks with one ConcurrencyKey only as many run at a time as
	// configured.
	IdempotencyKey string
	ConcurrencyKey string
	OnWorkerLost   LostPolicy
	// Durable is nil where journal.sync decides.
	Durable *bool
	// ResultTTL is how long the result is kept; 0 leaves it to results.ttl.
	ResultTTL Duration
	// Env and Cwd are for executors that isolate tasks by process.
	Env map[string]string
	Cwd string
}

// Extras returns t's extra fields with defaults filled in, to be read only.
func (t *Task) Extras() Extras {
	var x Extras
	if t.Extra != nil {
		x = *t.Extra
	}
	if x.OnWorkerLost == "" {
		x.OnWorkerLost = Requeue
	}
	if x.RetryBackoff == 0 {
		x.RetryBackoff = DefaultRetryBackoff
	}
	return x
}
