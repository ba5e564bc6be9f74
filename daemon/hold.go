package daemon

import (
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
)

// A task that does not stop ends for its caller once its grace is over, while its worker
// still runs it. Until it has stopped after all, or the worker's process has been reaped,
// it holds what it held: its slot, its concurrency key, its schedule's next run, its turn.

// stillRuns reports whether a worker has r, whether it has ended or not.
func (e *Engine) stillRuns(r *ledger.Record) bool { return e.places[r] != nil }

// seatLocked notes that r has a place.
func (e *Engine) seatLocked(r *ledger.Record, pl *fleet.Place) {
	e.places[r] = pl
	if e.kept(r) && brief(r) {
		r.Awaited = e.awaited.add(e.elapsedLocked())
	}
}

// unseatLocked notes that r has none any more.
func (e *Engine) unseatLocked(r *ledger.Record) {
	delete(e.places, r)
	e.awaited.drop(r.Awaited)
	r.Awaited = 0
}

// takeBack takes r from the slot that had it. It reports whether it had been sent.
func (e *Engine) takeBack(r *ledger.Record) (sent bool) {
	if pl := e.places[r]; pl != nil {
		pl.Disarm()
		e.unseatLocked(r)
	}
	return !e.dropPledge(r)
}

// letGo lets others have what r held, which has ended and does not run.
func (e *Engine) letGo(r *ledger.Record, fx *effects.List) {
	if r.Item == nil {
		return
	}
	e.queue.Remove(e.momentLocked(), r.Item)
	r.Item = nil
	e.timers.kickIf(e.queue.Changed())
	e.nextTurn(r, fx)
}

// nextTurn ends the turn of r.
func (e *Engine) nextTurn(r *ledger.Record, fx *effects.List) {
	next, times := e.turns.Next(r, e.uptimeLocked())
	e.takeTurn(next, times, fx)
}

// passTurn ends the turn of r, which waits for its next attempt, until its time has come:
// others may run meanwhile.
func (e *Engine) passTurn(r *ledger.Record, due time.Duration, fx *effects.List) {
	if !e.turns.Blocks(r) {
		return
	}
	now, entry := e.momentLocked(), entryFor(r)
	entry.Held = true
	e.queue.Remove(now, r.Item)
	r.Item = e.queue.Restore(now, r, entry)
	e.turns.Add(r, queue.Times{Due: due})
	e.nextTurn(r, fx)
}

// takeTurn lets next into the queue at its times, whose turn it is; nil: nobody's.
func (e *Engine) takeTurn(next *ledger.Record, times queue.Times, fx *effects.List) {
	if next == nil {
		return
	}
	e.queue.Settle(e.momentLocked(), next.Item, times)
	if next.Item.Place() == queue.Ready {
		e.move(next, ledger.Ready, fx)
		e.notifyStatus(next, "", fx)
	}
	e.timers.kick() // which dispatches
}
