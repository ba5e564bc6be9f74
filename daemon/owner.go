package daemon

import (
	"fmt"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
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
func (e owner) Started(h fleet.Hold, ago time.Duration, fx *effects.List) {
	if r := recordOf(h); r.Phase() == ledger.Sent {
		now := e.momentLocked()
		r.Begin(queue.Now{Wall: now.Wall.Add(-ago), Uptime: now.Uptime - ago})
		e.began(r, fx)
		e.move(r, ledger.Running, fx)
		e.notifyStatus(r, "", fx)
	}
}

// Event implements fleet.Owner.
func (e owner) Event(h fleet.Hold, ev *task.Event, fx *effects.List) {
	if r := recordOf(h); !r.Phase().Over() { // else the Result is its last event
		e.notify(r, ev, fx)
	}
}

// Ended implements fleet.Owner.
func (e owner) Ended(h fleet.Hold, o plugins.Outcome, fx *effects.List) {
	r := recordOf(h)
	e.takeBack(r)
	if r.Phase().Over() { // it has stopped after all
		e.letGo(r, fx)
		return
	}
	r.Suspect = r.Deaths > 0 || r.Doubted() // its worker lives; but not all did
	e.finish(r, inTime(o, time.Duration(r.Task.Timeout)), fx)
}

// Returned implements fleet.Owner.
func (e owner) Returned(h fleet.Hold, why fleet.Return, fx *effects.List) {
	r := recordOf(h)
	if e.takeBack(r) && !r.Phase().Over() {
		r.Attempts-- // nothing of it has run
	}
	switch {
	case r.Phase().Over():
		e.letGo(r, fx)
	case why == fleet.Stopped, r.Stopping:
		e.finish(r, cancelled(), fx) // or its cancel would be forgotten
	default:
		e.requeue(r, false, fx)
	}
}

const (
	// mostFaults is how many attempts at a task executors may fail: this many say that it
	// is the task with which no executor gets along. Broken workers do not come one after
	// the other: each is replaced when it is found.
	mostFaults = 10
	// mostFaultsRun is the same for attempts that may have run: the script may have done it.
	mostFaultsRun = 3
)

// Faulted implements fleet.Owner.
func (e owner) Faulted(h fleet.Hold, o plugins.Outcome, fx *effects.List) {
	r := recordOf(h)
	e.takeBack(r)
	if r.Phase().Over() {
		e.letGo(r, fx)
		return
	}
	ran := o.Fault != plugins.Unrun
	r.Faults++
	if ran {
		r.FaultsRun++
	} else {
		r.Attempts--
	}
	switch {
	case r.Stopping:
		e.finish(r, cancelled(), fx)
	case ran && once(r):
		e.end(r, faulted(o, "and the task must not run twice"), fx)
	case r.FaultsRun >= mostFaultsRun, r.Faults >= mostFaults:
		e.end(r, faulted(o, fmt.Sprintf("the last of %d times", r.Faults)), fx)
	default:
		if ran {
			e.ran(r, &o, fx)
		}
		e.requeue(r, ran, fx)
	}
}

// requeue puts a task that did not end, and that no slot has, back to the front.
func (e *Engine) requeue(r *ledger.Record, ran bool, fx *effects.List) {
	lane := laneOf(r)
	r.Reset()
	e.move(r, ledger.Ready, fx)
	if ran {
		e.waitsAgain(r)
		e.queue.Retry(e.momentLocked(), r.Item, lane, 0)
		e.noteLocked(r, journal.Written, queue.Now{})
	} else {
		e.queue.Return(e.momentLocked(), r.Item, lane)
		e.noteLocked(r, journal.Whenever, queue.Now{})
	}
}

// Lost implements fleet.Owner.
func (e owner) Lost(h fleet.Hold, d fleet.Death, p *fleet.Pool, fx *effects.List) {
	r := recordOf(h)
	sent, runs := e.takeBack(r), r.Runs()
	if d.Doubt {
		r.Doubt()
	}
	if sent && r.Phase() == ledger.Sent {
		r.Attempts-- // nothing of it has run: all that its worker had written has been read
	}
	switch {
	case r.Phase().Over(): // and held what it had until now
		e.letGo(r, fx)
	case r.Stopping:
		e.finish(r, cancelled(), fx) // or its cancel would be forgotten
	case !runs:
		e.requeue(r, false, fx)
	case d.Overdue != 0:
		e.finish(r, overdue(d.Overdue, time.Duration(r.Task.Timeout)), fx)
	case once(r):
		e.end(r, lostWith(d, e.stopping), fx)
	case e.stopping: // what is in the journal goes on at the next start
		e.lostAgain(r, d, fx)
	case d.Blame && poison(r, d.Alone):
		e.poisoned(r, p, "workers die of this task", d.Exit, fx)
		e.end(r, workerLost(d, "the second time that one died while it ran this task alone"), fx)
	default:
		e.lostAgain(r, d, fx)
	}
}

// lostAgain has r run again, which ran in a worker that is lost.
func (e *Engine) lostAgain(r *ledger.Record, d fleet.Death, fx *effects.List) {
	if e.traces != nil {
		o := workerLost(d, "and the task runs again")
		e.ran(r, &o, fx)
	}
	e.requeue(r, true, fx)
}

// poisoned tells of a task that is ended because of those who died of it.
func (e *Engine) poisoned(r *ledger.Record, p *fleet.Pool, why, exit string, fx *effects.List) {
	p.Poison()
	fx.Log(hclog.Error, "poison: "+why, "task_id", r.Task.ID, "script_path", r.Task.ScriptPath,
		"function", r.Task.Function, "pool", p.Name(), "exit", exit)
}

// poison notes that r ran in a worker that died, and reports whether that proves that
// workers die of it.
func poison(r *ledger.Record, alone bool) bool {
	r.Suspect = true
	if alone {
		r.Deaths++
	}
	return alone && r.Deaths >= ledger.MostDeaths
}

// workerLost is the end of a task whose worker was lost.
func workerLost(d fleet.Death, why string) plugins.Outcome {
	return failure("WorkerLost", "worker_lost", fmt.Sprintf("worker %s ended while it ran this task (%s), %s", d.Worker, d.Exit, why))
}

// lostWith is the end of a task that must not run twice and was lost with its worker, which
// had to go if the daemon stops.
func lostWith(d fleet.Death, stopping bool) plugins.Outcome {
	if stopping {
		return failure("DaemonLost", "daemon_lost", "the daemon stopped while it ran this task, which must not run twice")
	}
	return workerLost(d, "and the task must not run twice")
}

// Overdue implements fleet.Owner.
func (e owner) Overdue(h fleet.Hold, reason plugins.StopReason, fx *effects.List) {
	r := recordOf(h)
	o := overdue(reason, time.Duration(r.Task.Timeout))
	switch {
	case r.Phase().Over():
		return
	case r.MayRetry(o.Status): // once its process has been reaped
		e.noteUsed(r)
		return
	}
	e.end(r, o, fx)
}

// Room implements fleet.Owner.
func (e owner) Room(p *fleet.Pool, fx *effects.List) {
	e.dispatch(p, fx)
	e.checkIdleLocked()
}

// Runnable implements fleet.Owner.
func (e owner) Runnable(lane int) bool { return e.queue.Runnable(e.momentLocked(), lane) }

// RunnableFor implements fleet.Owner.
func (e owner) RunnableFor(lane int, allow func(caller uint32) bool) bool {
	return e.queue.RunnableFor(e.momentLocked(), lane, allow)
}

// Waiting implements fleet.Owner.
func (e owner) Waiting(lane int) int { return e.queue.LaneLen(lane) }

// Draining implements fleet.Owner.
func (e owner) Draining() bool { return e.draining || e.held }

// Awaited implements fleet.Owner.
func (e owner) Awaited(p *fleet.Pool) bool {
	for r := range e.arriving {
		if r.Pool == p {
			return true
		}
	}
	return e.pledged(p)
}
