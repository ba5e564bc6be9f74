package ledger

import (
	"errors"
	"fmt"
	"slices"

	"cpulb/daemon/task"
)

// ErrIllegalMove is matched when the table does not have a move.
var ErrIllegalMove = errors.New("illegal move of a task")

// Phase is where a task is in its life, for the engine. What clients see of it, its
// task.Status, follows from it.
type Phase uint8

// The phases, in the order in which a task can first reach them.
const (
	// Arriving: it is not accepted yet: there is no room, or it is being committed. One that
	// a slot gets meanwhile goes on from there, and may be Refused all the same.
	Arriving Phase = iota
	// Delayed: it waits for its time, its retry or its key.
	Delayed
	// Ready: it waits for a slot.
	Ready
	// Sent: a slot has it, but may not have begun it.
	Sent
	// Running: a slot's thread has claimed it.
	Running
	// Ending: its outcome is final but may not be on disk. Clients see the status of
	// before.
	Ending
	// Ended: everybody sees its Result.
	Ended
	// Refused: it was not accepted, and the Store no longer knows it.
	Refused
	phases
)

// next is the only authority on which moves are legal.
func (p Phase) next() []Phase {
	switch p {
	case Arriving: // to Ending: it was cancelled before it was accepted
		return []Phase{Delayed, Ready, Sent, Ending, Refused}
	case Delayed: // to Sent: its key has got room, and it left the queue before that was looked at
		return []Phase{Ready, Sent, Ending, Refused}
	case Ready:
		return []Phase{Delayed, Sent, Ending, Refused}
	case Sent: // to Delayed: its Started and its failure were read together
		return []Phase{Running, Ready, Delayed, Ending, Refused}
	case Running:
		return []Phase{Ready, Delayed, Ending, Refused}
	case Ending:
		return []Phase{Ended, Refused}
	}
	return nil
}

// CanBecome reports whether the table has the move from p to next.
func (p Phase) CanBecome(next Phase) bool { return slices.Contains(p.next(), next) }

// InSlot reports whether a slot has the task.
func (p Phase) InSlot() bool { return p == Sent || p == Running }

// Over reports whether nothing can change any more how the task ends.
func (p Phase) Over() bool { return p >= Ending }

// status is what clients see; false where it is what it was before, or the Result's.
func (p Phase) status() (task.Status, bool) {
	switch p {
	case Arriving, Delayed:
		return task.Pending, true
	case Ready, Sent:
		return task.Queued, true
	case Running:
		return task.Running, true
	}
	return 0, false
}

// String names p for the log.
func (p Phase) String() string {
	names := []string{
		Arriving: "arriving", Delayed: "delayed", Ready: "ready", Sent: "sent",
		Running: "running", Ending: "ending", Ended: "ended", Refused: "refused",
	}
	if int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}
