package daemon

import (
	"fmt"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// owner is the engine for its fleet: what happens to a task in a slot. It implements
// fleet.Owner.
type owner struct{ *Engine }

// recordOf returns the task of a Hold, all of which the engine has given.
func recordOf(h fleet.Hold) *ledger.Record { return h.(*ledger.Record) }

// Do implements fleet.Owner.
func (e owner) Do(f func(fx *effects.List)) { e.do(f) }

// Started implements fleet.Owner.
func (e owner) Started(h fleet.Hold, fx *effects.List) {
	if r := recordOf(h); r.Phase() == ledger.Sent {
		r.Begin(e.moment())
		e.move(r, ledger.Running, fx)
		e.notifyStatus(r, "", fx)
	}
}

// Event implements fleet.Owner.
func (e owner) Event(h fleet.Hold, ev *task.Event, fx *effects.List) { e.notify(recordOf(h), ev, fx) }

// Ended implements fleet.Owner.
func (e owner) Ended(h fleet.Hold, o plugins.Outcome, fx *effects.List) {
	r := recordOf(h)
	if e.endedByStop(r) {
		return
	}
	e.finish(r, o, fx)
	r.Suspect = false // its worker lives
}

// endedByStop reports whether r ended when the daemon had to stop, before its slot did
// with it.
func (e *Engine) endedByStop(r *ledger.Record) bool { return !e.running && r.Phase().Over() }

// Returned implements fleet.Owner.
func (e owner) Returned(h fleet.Hold, why fleet.Return, fx *effects.List) {
	r := recordOf(h)
	switch {
	case e.endedByStop(r):
		return
	case why == fleet.Stopped, r.Stopping:
		e.finish(r, cancelled(), fx) // or its cancel would be forgotten
		return
	case why == fleet.NeedsThread, why == fleet.Recalled:
		r.Attempts-- // nothing of it has run
	}
	e.requeue(r, fx)
}

// requeue puts a task that did not end back to the front.
func (e *Engine) requeue(r *ledger.Record, fx *effects.List) {
	if !r.Phase().InSlot() {
		return // it has ended, as when the daemon stops
	}
	ran, lane := r.Runs(), laneOf(r)
	e.takeBackLocked(r)
	r.Reset()
	e.move(r, ledger.Ready, fx)
	if ran {
		e.queue.Retry(e.moment(), r.Item, lane, 0)
		e.noteLocked(r, time.Time{})
	} else {
		e.queue.Return(e.moment(), r.Item, lane)
	}
}

// Lost implements fleet.Owner.
func (e owner) Lost(h fleet.Hold, d fleet.Death, p *fleet.Pool, fx *effects.List) {
	r := recordOf(h)
	if !r.Phase().InSlot() {
		return // it has ended, as when the daemon stops
	}
	switch runs := r.Runs(); {
	case r.Stopping:
		e.finish(r, cancelled(), fx) // or its cancel would be forgotten
	case e.stopping: // what is in the journal goes on at the next start
		e.requeue(r, fx)
	case d.Overdue != 0:
		e.finish(r, overdue(d.Overdue, time.Duration(r.Task.Timeout)), fx)
	case runs && r.Task.Extras().OnWorkerLost == task.Fail:
		e.end(r, workerLost(d, "and the task must not run twice"), fx)
	case runs && d.Blame && poison(r, d.Alone):
		p.Poison()
		fx.Log(hclog.Error, "poison: workers die of this task", "task_id", r.Task.ID, "script_path", r.Task.ScriptPath,
			"function", r.Task.Function, "pool", p.Name(), "exit", d.Exit)
		e.end(r, workerLost(d, "the second time that one died while it ran this task alone"), fx)
	default:
		e.requeue(r, fx)
	}
}

// poison notes that r ran in a worker that died, and reports whether that proves that
// workers die of it.
func poison(r *ledger.Record, alone bool) bool {
	r.Suspect = true
	if alone {
		r.Deaths++
	}
	return alone && r.Deaths >= 2
}

// workerLost is the end of a task whose worker was lost.
func workerLost(d fleet.Death, why string) plugins.Outcome {
	return failure("WorkerLost", "worker_lost", fmt.Sprintf("worker %s ended while it ran this task (%s), %s", d.Worker, d.Exit, why))
}

// Overdue implements fleet.Owner.
func (e owner) Overdue(h fleet.Hold, reason plugins.StopReason, fx *effects.List) (kept bool) {
	r := recordOf(h)
	o := overdue(reason, time.Duration(r.Task.Timeout))
	switch {
	case e.endedByStop(r):
		return false
	case r.MayRetry(o.Status):
		return true
	}
	e.finish(r, o, fx)
	return false
}

// Room implements fleet.Owner.
func (e owner) Room(p *fleet.Pool, fx *effects.List) {
	e.dispatch(p, fx)
	e.checkIdleLocked()
}

// Runnable implements fleet.Owner.
func (e owner) Runnable(lane int) bool { return e.queue.Runnable(e.moment(), lane) }

// Waiting implements fleet.Owner.
func (e owner) Waiting(lane int) int { return e.queue.LaneLen(lane) }

// Draining implements fleet.Owner.
func (e owner) Draining() bool { return e.draining }

// Awaited implements fleet.Owner.
func (e owner) Awaited(p *fleet.Pool) bool {
	for r := range e.arriving {
		if r.Pool == p {
			return true
		}
	}
	return false
}
