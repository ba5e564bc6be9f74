// Package lifecycle says which states a worker passes through, and when a dead one
// is replaced. It is pure: it starts nothing, waits for nothing and takes the time
// from its caller.
package lifecycle

import (
	"errors"
	"fmt"
)

// ErrIllegalMove is matched when a worker can't go to a state from where it is.
var ErrIllegalMove = errors.New("illegal move of a worker")

// State is where a worker is in its life. A worker is one process: its replacement
// begins anew. The zero value is Starting.
type State uint32

// The states of a worker, in the order in which it can first reach them.
const (
	// Starting: there may be a process; its slots are not open.
	Starting State = iota
	// Ready: it takes tasks.
	Ready
	// Draining: it takes no more tasks; those that it has may end.
	Draining
	// Fenced: the same, and it will be ended by force, for the sake of a task that
	// does not stop. Its replacement may start at once.
	Fenced
	// Stopping: it is being ended, by us. What it still runs is not to blame.
	Stopping
	// Dead: the process has been reaped, or there never was one.
	Dead
)

// names is the only list of what the states are called on the API.
func names() []string {
	return []string{Starting: "starting", Ready: "ready", Draining: "draining", Fenced: "fenced", Stopping: "stopping", Dead: "dead"}
}

// moves is the only authority on which moves are legal.
func moves(from State) []State {
	switch from {
	case Starting:
		return []State{Ready, Stopping, Dead}
	case Ready:
		return []State{Draining, Fenced, Stopping, Dead}
	case Draining:
		return []State{Fenced, Stopping, Dead}
	case Fenced:
		return []State{Stopping, Dead}
	case Stopping:
		return []State{Dead}
	default:
		return nil
	}
}

// String returns the name used on the API, e.g. "ready".
func (s State) String() string {
	if all := names(); int(s) < len(all) {
		return all[s]
	}
	return fmt.Sprintf("state(%d)", uint32(s))
}

// TakesTasks reports whether the worker may be given a task.
func (s State) TakesTasks() bool { return s == Ready }

// BlamesTasks reports whether the worker's end, coming in this state, makes suspects
// of the tasks that it ran.
func (s State) BlamesTasks() bool { return s == Ready || s == Draining }

// CanBecome reports whether the transition table has the move from s to next.
func (s State) CanBecome(next State) bool {
	for _, to := range moves(s) {
		if to == next {
			return true
		}
	}
	return false
}

// Machine holds a worker's state and changes it only along the transition table. Its
// owner serialises all calls.
type Machine struct{ state State }

// Load returns the current state.
func (m *Machine) Load() State { return m.state }

// Advance moves to next and returns the state before. It fails with ErrIllegalMove, and
// changes nothing, when the table does not have the move.
func (m *Machine) Advance(next State) (from State, err error) {
	if from = m.state; !from.CanBecome(next) {
		return from, fmt.Errorf("%w: %s to %s", ErrIllegalMove, from, next)
	}
	m.state = next
	return from, nil
}
