package daemon

import (
	"math"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
)

// Events are kept in the journal as in memory: with their task, within the same bounds. They
// do not go there one by one. What has come is written as one record of its task after
// eventsWait, and at the latest with the Result, before it. Clients get them at once.
//
// What is written stands in the journal before what is appended later, as the tasks of other
// callers: so only some goes there at a time, of each owner's tasks alike.

const (
	// eventsWait is how long an event may not be in the journal: a daemon that dies in
	// between loses it, for those who had not read it. eventsAgain is it for what was left
	// while the disk keeps up.
	eventsWait  = 50 * time.Millisecond
	eventsAgain = 10 * time.Millisecond
	// eventsAtOnce is about how many bytes of events are written at a time, unless a single
	// log has to be saved anew.
	eventsAtOnce = 1 << 20
	// eventsWaiting is how much may wait to be written already. While the disk is full events
	// stay where they are, within their bounds.
	eventsWaiting = 8 << 20
)

// unsaved are the tasks with events that are not in the journal, by their owners.
type unsaved map[uint32]map[*ledger.Record]struct{}

func (u unsaved) add(r *ledger.Record) {
	own := u[r.Owner]
	if own == nil {
		own = map[*ledger.Record]struct{}{}
		u[r.Owner] = own
	}
	own[r] = struct{}{}
}

func (u unsaved) remove(r *ledger.Record) {
	own := u[r.Owner]
	if delete(own, r); len(own) == 0 {
		delete(u, r.Owner)
	}
}

// saveSoon has the events of r saved, which has new ones.
func (e *Engine) saveSoon(r *ledger.Record) {
	if !e.kept(r) || !r.HasLog() || r.Phase() == ledger.Arriving || r.Phase().Over() {
		return
	}
	e.unsaved.add(r)
	if !e.saving {
		e.saving = true
		e.saveLater(eventsWait)
	}
}

func (e *Engine) saveLater(wait time.Duration) {
	time.AfterFunc(wait, func() { e.do(e.saveDue) })
}

// saveDue saves some of the events that have come, unless the disk is behind.
func (e *Engine) saveDue(*effects.List) {
	if len(e.unsaved) > 0 && e.journal.Waiting() > eventsWaiting {
		e.saveLater(eventsWait)
		return
	}
	keepsUp := e.journal.Waiting() < eventsAtOnce
	e.saveEventsLocked(eventsAtOnce)
	switch e.saving = len(e.unsaved) > 0; {
	case e.saving && keepsUp:
		e.saveLater(eventsAgain)
	case e.saving:
		e.saveLater(eventsWait)
	}
}

// saveEventsLocked saves about that many bytes of the events that have come, as much of each
// owner's. Whose turn it is, and which of his tasks', is left to chance, so that nobody is
// always last.
func (e *Engine) saveEventsLocked(bytes int64) {
	share := bytes / int64(max(1, len(e.unsaved)))
	for _, own := range e.unsaved {
		left := share
		for r := range own {
			if left <= 0 {
				break
			}
			saved, more := e.saveSome(r, left)
			if left -= saved; !more {
				e.unsaved.remove(r)
			}
		}
	}
}

// saveSome saves at most so many bytes of the events of r, or one event. more: that was not
// all.
func (e *Engine) saveSome(r *ledger.Record, most int64) (bytes int64, more bool) {
	if r.Phase().Over() {
		return 0, false
	}
	c, more := r.Unsaved(most)
	if len(c.Events) > 0 {
		e.appendLocked(journal.Written, nil, eventsOp(r, c))
	}
	return c.Bytes, more
}

// eventOps adds what saves all events of r that are not.
func eventOps(ops []journal.Op, r *ledger.Record) []journal.Op {
	if c, _ := r.Unsaved(math.MaxInt64); len(c.Events) > 0 {
		ops = append(ops, eventsOp(r, c))
	}
	return ops
}

func eventsOp(r *ledger.Record, c ledger.Chunk) journal.Op {
	return journal.Op{Submitted: r.Submitted(), Events: &journal.Events{Chunk: c.Number, Whole: c.Whole, Events: c.Events}}
}
