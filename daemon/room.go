package daemon

import (
	"fmt"

	"cpulb/daemon/effects"
)

// While the disk is full, Results wait in memory to be written. They are bounded as those
// are that are kept: while more waits than results.max_bytes, no task is started, durable
// or not. What runs by then still ends, and may wait, too. All else goes on.

// overfull reports whether too much waits to be written for another task to start.
func (e *Engine) overfull() bool {
	return e.journal != nil && e.journal.Waiting() > e.config.Load().Results.MaxBytes
}

// holdLocked reports whether dispatch is to wait for the disk. It goes on by itself: when
// something has been written, and else when the timers look.
func (e *Engine) holdLocked() bool {
	held := e.held
	e.held = e.overfull()
	e.timers.kickIf(e.held && !held)
	return e.held
}

// goOnLocked dispatches if that has waited for the disk and need not any more.
func (e *Engine) goOnLocked(fx *effects.List) {
	if !e.held || e.holdLocked() {
		return
	}
	for _, p := range e.fleet.AllLocked() {
		e.dispatch(p, fx)
	}
}

// overfullReason says for people what overfull is about.
func overfullReason(waiting int64) string {
	return fmt.Sprintf("%d bytes wait to be written, more than results.max_bytes, and no task is started until they have been", waiting)
}
