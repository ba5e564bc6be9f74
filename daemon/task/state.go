package task

import (
	"fmt"
)

// Status is where a task is in its life. The zero value is Pending.
type Status uint32

// The states of a task, in the order in which a task can first reach them.
const (
	// Pending: accepted, waiting for its time, its retry or its key.
	Pending Status = iota
	// Queued: waiting for a slot.
	Queued
	// Running: claimed by a slot's thread.
	Running
	// Completed: main returned; terminal.
	Completed
	// Failed: it could not run, raised, or lost its worker for good; terminal.
	Failed
	// Cancelled: somebody asked for it; terminal.
	Cancelled
	// TimedOut: its timeout passed while it ran; terminal.
	TimedOut
)

var statusNames = [...]string{
	Pending: "pending", Queued: "queued", Running: "running", Completed: "completed",
	Failed: "failed", Cancelled: "cancelled", TimedOut: "timed_out",
}

// Statuses lists every status in order.
func Statuses() []Status {
	return []Status{Pending, Queued, Running, Completed, Failed, Cancelled, TimedOut}
}

// String returns the name used on the API, e.g. "timed_out".
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint32(s))
}

// Terminal reports whether a task stays so for ever.
func (s Status) Terminal() bool { return s >= Completed }

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Status) UnmarshalText(text []byte) error {
	for i, name := range statusNames {
		if name == string(text) {
			*s = Status(i)
			return nil
		}
	}
	return &FieldError{Field: "status", Problem: fmt.Sprintf("unknown status %q", text), Allowed: statusNames[:]}
}
