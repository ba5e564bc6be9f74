package daemon

import "cpulb/daemon/journal"

// HoldCommits withholds what the journal answers from now on, as a slow disk does, until
// release is called.
func (e *Engine) HoldCommits() (release func()) {
	held := make(chan struct{})
	e.journal.Append(journal.Written, func(error) { <-held })
	return func() { close(held) }
}

// Locked calls f while nobody else gets at the engine.
func (e *Engine) Locked(f func()) { e.locked(f) }
