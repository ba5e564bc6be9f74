package task

import (
	"fmt"
	"sync/atomic"
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

// transitions is the only authority on which moves are legal.
var transitions = [...][]Status{
	Pending:   {Queued, Failed, Cancelled},
	Queued:    {Pending, Running, Failed, Cancelled},
	Running:   {Pending, Queued, Completed, Failed, Cancelled, TimedOut},
	Completed: nil, Failed: nil, Cancelled: nil, TimedOut: nil,
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

// Terminal reports whether no move leads out of s.
func (s Status) Terminal() bool { return s >= Completed }

// CanBecome reports whether the transition table has the move from s to next.
func (s Status) CanBecome(next Status) bool {
	if int(s) >= len(transitions) {
		return false
	}
	for _, to := range transitions[s] {
		if to == next {
			return true
		}
	}
	return false
}

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

// State holds a task's status and changes it only along the transition table.
// It is safe for concurrent use; of several movers from one status, one wins.
type State struct{ v atomic.Uint32 }

// Load returns the current status.
func (s *State) Load() Status { return Status(s.v.Load()) }

// Move changes from to next. It fails with ErrIllegalMove when the table does
// not have the move or when the status is no longer from.
func (s *State) Move(from, next Status) error {
	if !from.CanBecome(next) {
		return fmt.Errorf("%w: %s to %s", ErrIllegalMove, from, next)
	}
	if !s.v.CompareAndSwap(uint32(from), uint32(next)) {
		return fmt.Errorf("%w: %s to %s, but it is %s", ErrIllegalMove, from, next, s.Load())
	}
	return nil
}
