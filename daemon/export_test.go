package daemon

import (
	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/ledger"
)

// HoldCommits withholds what the journal answers from now on, as a slow disk does, until
// release is called.
func (e *Engine) HoldCommits() (release func()) { return e.journal.HoldAnswers() }

// HoldSyncs has the disk take until release is called.
func (e *Engine) HoldSyncs() (release func(err error)) { return e.journal.HoldSyncs() }

// Locked calls f while nobody else gets at the engine.
func (e *Engine) Locked(f func()) { e.locked(f) }

// Watches counts those of all callers, and of one.
func (e *Engine) Watches(uid uint32) (all, own int64) {
	e.locked(func() { all, own = e.watches.used, e.watches.own[uid] })
	return all, own
}

// SaveSome writes as many events into the journal as go there at a time. It returns how
// many bytes those were, and how many tasks of each owner have some left.
func (e *Engine) SaveSome() (bytes int64, left map[uint32]int) {
	left = map[uint32]int{}
	e.locked(func() {
		before := e.journal.Waiting()
		e.saveEventsLocked(eventsAtOnce)
		bytes = e.journal.Waiting() - before
		for uid, own := range e.unsaved {
			left[uid] = len(own)
		}
	})
	return bytes, left
}

// SelectAsMay takes the places of those of a caller's requests that may hold the tasks which
// they have selected, until release is called.
func (e *Engine) SelectAsMay(uid uint32) (release func()) {
	for range readersAtOnce {
		e.selecting.enter(uid)
	}
	return func() {
		for range readersAtOnce {
			e.selecting.leave(uid)
		}
	}
}

// Looks counts how often a list of all that f selects, the newest first, looks at tasks.
func (e *Engine) Looks(who access.Identity, f api.Filter) (n int) {
	for at, more := beginning(true).since(f.Since), true; more; n++ {
		at, more = e.look(who, access.See, &f, at, func(*ledger.Record) bool { return true })
	}
	return n
}

// Syncs is how many syncs of the journal went well.
func (e *Engine) Syncs() uint64 { return e.journal.Stats().Commits }
