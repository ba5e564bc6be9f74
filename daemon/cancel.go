package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Cancel stops a task: at once while it waits or is on its way in, else by asking its
// worker. A task that has ended stays as it is.
//
// The answer comes by done, once, from any goroutine and perhaps before Cancel returns:
// the task as it stands once it is sure that a daemon that dies does not run it again.
// While the journal can't be written that is not waited for. done must not block. Errors:
// task.ErrNotFound, also when it turns out that the task is not accepted;
// task.ErrEvicted.
func (e *Engine) Cancel(who access.Identity, id task.ID, done func(task.View, error)) {
	failing := e.journalFails()
	e.do(func(fx *effects.List) {
		r, err := e.findLocked(who, access.Stop, id)
		if err != nil {
			fx.Answer(func() { done(task.View{}, err) })
			return
		}
		e.cancel(r, fx)
		e.whenSure(r, failing, done, fx)
	})
}

// journalFails reports whether the journal can't be written.
func (e *Engine) journalFails() bool { return e.journal != nil && e.journal.Stats().Failing != nil }

// cancel stops r.
func (e *Engine) cancel(r *ledger.Record, fx *effects.List) {
	a, pl := e.arriving[r], e.places[r]
	switch {
	case r.Phase().Over() || r.Stopping:
	case a != nil && r.Phase() == ledger.Arriving:
		e.cancelArriving(a, fx)
	case pl == nil:
		r.Stopping = true
		e.finish(r, cancelled(), fx)
	case !pl.Sent():
		r.Stopping = true
		e.takeBack(r)
		e.finish(r, cancelled(), fx)
		pl.GiveUp(fx)
	default:
		r.Stopping = true
		if !pl.Stop(plugins.StopCancelled, fx) {
			e.noteStopping(r)
		}
	}
}

// whenSure answers the cancel of r, which has been carried out, once the journal has it.
func (e *Engine) whenSure(r *ledger.Record, failing bool, done func(task.View, error), fx *effects.List) {
	a, id := e.arriving[r], r.Task.ID
	switch {
	case a != nil:
		a.ask(func(v task.View, err error) {
			if err != nil && !errors.Is(err, api.ErrDraining) {
				err = fmt.Errorf("%w: %s", task.ErrNotFound, id)
			}
			if err == nil && a.early { // what became of it may not be in the journal yet
				e.do(func(fx *effects.List) { e.whenSure(r, failing, done, fx) })
				return
			}
			done(v, err)
		})
	case failing || !e.kept(r) || r.Phase() == ledger.Ended:
		view := r.View()
		fx.Answer(func() { done(view, nil) })
	case r.Phase() == ledger.Ending:
		e.cancels[r] = append(e.cancels[r], done)
	default:
		e.appendLocked(journal.Written, func(_ error, fx *effects.List) { // once more: it is answered behind the first
			view := r.View()
			fx.Answer(func() { done(view, nil) })
		}, stopping(r))
	}
}

// noteStopping notes that r, which a worker has, was to be cancelled: a daemon that dies
// now must not run it again.
func (e *Engine) noteStopping(r *ledger.Record) {
	if e.kept(r) {
		e.appendLocked(journal.Written, nil, stopping(r))
	}
}

func stopping(r *ledger.Record) journal.Op {
	p := dispatched(r)
	return journal.Op{Submitted: r.Submitted(), Progress: &p}
}

// answerCancels answers those who cancelled r, which has ended.
func (e *Engine) answerCancels(r *ledger.Record, fx *effects.List) {
	for _, done := range e.cancels[r] {
		fx.Tell(nil, done, r.View(), nil)
	}
	delete(e.cancels, r)
}

// cancelAtOnce bounds how many tasks are cancelled without letting go of the engine.
const cancelAtOnce = 50

// CancelAll stops the tasks that f selects and the caller may stop, also those on their
// way in, and returns how many had not ended, as sure as Cancel. Tasks that are submitted
// meanwhile may be among them or not. Errors: ctx's, api.ErrDraining: then it has been
// done all the same.
func (e *Engine) CancelAll(ctx context.Context, who access.Identity, f api.Filter) (int, error) {
	failing := e.journalFails()
	count, need, last := e.cancelSelected(who, &f)
	if failing || need == journal.Whenever {
		return count, nil
	}
	sure := make(chan struct{}) // what was appended before has come as far, and all see it
	e.do(func(*effects.List) {
		e.appendLocked(need, func(_ error, fx *effects.List) { fx.Answer(func() { close(sure) }) })
	})
	return count, e.await(ctx, sure, last)
}

// cancelSelected is CancelAll until what it has done is to become sure: need is how far
// that has to come in the journal, last one of the tasks. All are selected before the first
// is stopped, which may give others another status. They are held meanwhile, so one caller
// selects a few times at a time: else each of its connections would hold all of its tasks.
func (e *Engine) cancelSelected(who access.Identity, f *api.Filter) (count int, need journal.Need, last task.ID) {
	e.selecting.enter(who.UID)
	defer e.selecting.leave(who.UID)
	var all []*ledger.Record
	for at, more := beginning(false).since(f.Since), true; more; {
		at, more = e.look(who, access.Stop, f, at, func(r *ledger.Record) bool {
			if !r.Phase().Over() && !r.Stopping {
				all = append(all, r)
			}
			return true
		})
	}
	for some := range slices.Chunk(all, cancelAtOnce) {
		e.read(who, func(fx *effects.List) {
			for _, r := range some {
				if r.Phase().Over() || r.Stopping {
					continue
				}
				if e.kept(r) {
					need = max(need, e.need(r))
				}
				e.cancel(r, fx)
				last = r.Task.ID
				count++
			}
		})
	}
	return count, need, last
}
