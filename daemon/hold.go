package daemon

import (
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
)

// A task that does not stop ends for its caller once its grace is over, while its worker
// still runs it. Until it has stopped after all, or the worker's process has been reaped,
// it holds what it held: its slot, its concurrency key, its schedule's next run, its turn.

// stillRuns reports whether a worker has r, whether it has ended or not.
func (e *Engine) stillRuns(r *ledger.Record) bool { return e.slots[r] != nil }

// takeBack takes r from the slot that had it. It reports whether it had been sent.
func (e *Engine) takeBack(r *ledger.Record) (sent bool) {
	if s := e.slots[r]; s != nil {
		s.Disarm()
		delete(e.slots, r)
	}
	return !e.dropPledge(r)
}

// letGo lets others have what r held, which has ended and does not run.
func (e *Engine) letGo(r *ledger.Record, fx *effects.List) {
	if r.Item == nil {
		return
	}
	e.queue.Remove(e.moment(), r.Item)
	r.Item = nil
	e.timers.kickIf(e.queue.Changed())
	e.takeTurn(e.turns.Next(r), fx)
}

// takeTurn lets next into the queue, whose turn it is; nil: nobody's.
func (e *Engine) takeTurn(next *ledger.Record, fx *effects.List) {
	if next == nil {
		return
	}
	e.queue.Settle(e.moment(), next.Item, e.restored[next])
	delete(e.restored, next)
	if next.Item.Place() == queue.Ready {
		e.move(next, ledger.Ready, fx)
		e.notifyStatus(next, "", fx)
	}
	e.timers.kick() // which dispatches
}
