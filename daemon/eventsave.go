package daemon

import (
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
)

// Events are kept in the journal as in memory: with their task, within the same bounds. They
// do not go there one by one. What has come is written as one record of its task after
// eventsWait, and at the latest with the Result, before it. Clients get them at once.

const (
	// eventsWait is how long an event may not be in the journal: a daemon that dies in
	// between loses it, for those who had not read it.
	eventsWait = 50 * time.Millisecond
	// eventsWaiting is how much may wait to be written already. While the disk is full events
	// stay where they are, within their bounds.
	eventsWaiting = 8 << 20
)

// saveSoon has the events of r saved, which has new ones.
func (e *Engine) saveSoon(r *ledger.Record) {
	if !e.kept(r) || !r.HasLog() || r.Phase() == ledger.Arriving || r.Phase().Over() {
		return
	}
	e.unsaved[r] = struct{}{}
	if !e.saving {
		e.saving = true
		e.saveLater()
	}
}

func (e *Engine) saveLater() { time.AfterFunc(eventsWait, func() { e.do(e.saveDue) }) }

// saveDue saves the events that have come, unless the disk is behind.
func (e *Engine) saveDue(*effects.List) {
	if len(e.unsaved) > 0 && e.journal.Waiting() > eventsWaiting {
		e.saveLater()
		return
	}
	e.saving = false
	e.saveEventsLocked()
}

// saveEventsLocked saves the events that have come.
func (e *Engine) saveEventsLocked() {
	for r := range e.unsaved {
		if r.Phase().Over() {
			continue
		}
		if ops := eventOps(nil, r); len(ops) > 0 {
			e.journal.Append(journal.Written, nil, ops...)
		}
	}
	clear(e.unsaved)
}

// eventOps adds what saves the events of r that are not.
func eventOps(ops []journal.Op, r *ledger.Record) []journal.Op {
	if c := r.Unsaved(); len(c.Events) > 0 {
		ops = append(ops, journal.Op{Submitted: r.Submitted(), Events: &journal.Events{Chunk: c.Number, Whole: c.Whole, Events: c.Events}})
	}
	return ops
}
