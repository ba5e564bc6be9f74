package daemon

import (
	"fmt"
	"math/rand/v2"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// move brings r to another phase. An illegal move is a mistake of the engine: it is
// logged and changes nothing.
func (e *Engine) move(r *ledger.Record, to ledger.Phase, fx *effects.List) {
	if err := e.store.Move(r, to); err != nil {
		fx.Log(hclog.Error, illegalMove, "task_id", r.Task.ID, "error", err)
	}
}

// Mistakes are the log lines that tell of a mistake of the engine; tests fail on them.
func Mistakes() []string { return []string{illegalMove, endedTwice} }

const (
	illegalMove = "illegal move"
	endedTwice  = "a task ended a second time"
)

// finish brings r, which no slot has, to its end or to its next attempt.
func (e *Engine) finish(r *ledger.Record, o plugins.Outcome, fx *effects.List) {
	if r.Phase().InSlot() && r.MayRetry(o.Status) {
		e.retry(r, o, fx)
		return
	}
	e.end(r, o, fx)
}

// end makes o the final outcome of r. Clients see the Result once it has been committed;
// until then they see the task as it was.
func (e *Engine) end(r *ledger.Record, o plugins.Outcome, fx *effects.List) {
	if r.Phase().Over() {
		fx.Log(hclog.Error, endedTwice, "task_id", r.Task.ID, "status", o.Status)
		return
	}
	e.ran(r, &o, fx)
	if !e.stillRuns(r) {
		e.dropPledge(r)
	}
	e.move(r, ledger.Ending, fx)
	if !e.stillRuns(r) {
		e.letGo(r, fx)
	}
	res := result(r, o, e.momentLocked())
	if !e.kept(r) {
		e.store.NumberEnd(r)
		r.EndCursor()
		e.reveal(r, res, fx)
		return
	}
	end := e.endOp(r, res)
	e.unsaved.remove(r)
	held := o.Held.Keep()
	change := journal.Change{Need: e.need(r), Linger: e.lingerEnded(), Ops: append(eventOps(nil, r), end)}
	e.addLocked(change, func(err error, fx *effects.List) {
		e.ended(r, res, err, fx)
		fx.Answer(held.Give) // it is kept now
	})
}

// endOp gives the end of r its place among the events and among the ends.
func (e *Engine) endOp(r *ledger.Record, res *task.Result) journal.Op {
	return journal.Op{Submitted: r.Submitted(), Ended: &journal.Ended{Result: res, Cursor: r.EndCursor(), Uptime: e.uptimeLocked(), Order: e.store.NumberEnd(r)}}
}

// ended reveals a Result after its commit. While the disk is full the journal keeps the
// Result and tries again; err means that the journal was closed first.
func (e *Engine) ended(r *ledger.Record, res *task.Result, err error, fx *effects.List) {
	if e.endedEarly(r, func(fx *effects.List) { e.ended(r, res, err, fx) }, fx) {
		return
	}
	if err != nil {
		fx.Log(hclog.Error, "a result could not be kept", "task_id", r.Task.ID, "error", err)
		e.answerCancels(r, fx)
		return
	}
	e.reveal(r, res, fx)
	e.goOnLocked(fx)
}

// need is how far r and its Result must have come in the journal before anybody sees
// them: as journal.sync says, unless the caller asked for more.
func (e *Engine) need(r *ledger.Record) journal.Need {
	if x := r.Task.Extra; x != nil && x.Durable != nil && *x.Durable {
		return journal.Synced
	}
	return e.needOfAll()
}

// needOfAll is how far what belongs to no single task must have come.
func (e *Engine) needOfAll() journal.Need {
	if e.config.Load().Journal.Sync == "group" {
		return journal.Synced
	}
	return journal.Written
}

// reveal shows the Result of r to everybody.
func (e *Engine) reveal(r *ledger.Record, res *task.Result, fx *effects.List) {
	gone, err := e.store.End(r, res, e.uptimeLocked())
	if err != nil {
		fx.Log(hclog.Error, illegalMove, "task_id", r.Task.ID, "error", err)
		return
	}
	e.forgetLocked(gone)
	e.answerCancels(r, fx)
	e.timers.kickIf(r.Schedule != "") // which may have missed times to run yet
	e.metrics.endedLocked(r)
	ev, watchers := e.store.Announce(r, e.eventBounds())
	for _, w := range watchers {
		fx.Event(w.Watcher, ev)
	}
	e.unwatchedLocked(watchers)
}

// notify adds ev to the event log of r and hands it to the watchers that want more than
// the Result.
func (e *Engine) notify(r *ledger.Record, ev *task.Event, fx *effects.List) {
	e.show(r, ev, r.Note(ev, e.eventBounds()), fx)
	if ev.Kind != task.EventOutput { // its Result is saved
		e.saveSoon(r)
	}
	if e.store.Noted(r) {
		e.evictLocked()
	}
}

// notifyStatus does so with an event of the task's status.
func (e *Engine) notifyStatus(r *ledger.Record, why string, fx *effects.List) {
	ev, watchers := r.NoteStatus(why, e.eventBounds())
	e.show(r, ev, watchers, fx)
	e.saveSoon(r)
}

// show hands an event of r to watchers, unless it is not accepted yet.
func (e *Engine) show(r *ledger.Record, ev *task.Event, watchers []task.Watcher, fx *effects.List) {
	if a := e.arriving[r]; a != nil && ev != nil {
		a.note(ev)
		return
	}
	for _, w := range watchers {
		fx.Event(w, ev)
	}
}

func (e *Engine) eventBounds() ledger.EventBounds {
	limits := e.limits()
	return ledger.EventBounds{PartialBytes: limits.ResultBytes, NoteBytes: limits.EventBytes}
}

// mostReason bounds the text of an event that says why a task has another state.
const mostReason = 1 << 10

// retry puts r back, to wait for its next attempt.
func (e *Engine) retry(r *ledger.Record, o plugins.Outcome, fx *effects.List) {
	r.Retries++
	now := e.momentLocked()
	pause := ledger.Backoff(time.Duration(r.Task.Extras().RetryBackoff), int(r.Retries), rand.Float64())
	next := queue.Now{Wall: now.Wall.Add(pause), Uptime: task.Sum(now.Uptime, pause)}
	e.move(r, ledger.Delayed, fx)
	e.ran(r, &o, fx)
	e.waitsAgain(r)
	r.Reset()
	e.queue.Retry(now, r.Item, laneOf(r), next.Uptime)
	e.passTurn(r, next.Uptime, fx)
	e.timers.kick()
	e.noteLocked(r, journal.Written, next)
	e.metrics.retries.Inc()
	why := fmt.Sprintf("attempt %d failed, the next one follows at %s", r.Attempts, next.Wall.Format(time.RFC3339Nano))
	if o.Error != nil {
		why = task.Clip(fmt.Sprintf("%s: %s: %s", why, o.Error.Type, o.Error.Message), mostReason)
	}
	e.notifyStatus(r, why, fx)
}

// noteLocked records in the journal how far r has come, which waits for its next attempt,
// for the next start of the daemon. Nothing waits for that.
func (e *Engine) noteLocked(r *ledger.Record, need journal.Need, notBefore queue.Now) {
	if e.kept(r) {
		p := progress(r, notBefore)
		e.appendLocked(need, nil, journal.Op{Submitted: r.Submitted(), Progress: &p})
	}
}

func progress(r *ledger.Record, notBefore queue.Now) journal.Progress {
	return journal.Progress{Attempts: int(r.Attempts), Retries: int(r.Retries), Deaths: int(r.Deaths), Losses: int(r.Losses),
		Faults: int(r.Faults), FaultsRun: int(r.FaultsRun), NotBefore: notBefore.Wall, Due: notBefore.Uptime, Stopping: r.Stopping, Suspect: r.Suspect}
}
