package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// findLocked returns the task with this id if the caller may do a with it; it may be on
// its way in. Errors: task.ErrNotFound, also for somebody else's task; task.ErrEvicted.
func (e *Engine) findLocked(who access.Identity, a access.Action, id task.ID) (*ledger.Record, error) {
	e.evictLocked()
	may := func(owner uint32) error { return e.rules.Load().Check(who, access.Request{Action: a, Owner: owner}) }
	r, err := e.store.Find(id, func(owner uint32) bool { return may(owner) == nil })
	if err != nil {
		return nil, err
	}
	if err := hidden(may(r.Owner), id); err != nil {
		return nil, err
	}
	return r, nil
}

// hidden makes err, if it is one for a task of somebody else, that for an unknown one.
func hidden(err error, id task.ID) error {
	if errors.Is(err, access.ErrHidden) {
		return fmt.Errorf("%w: %s", task.ErrNotFound, id)
	}
	return err
}

// stillSees returns why a caller who has waited for the task with this id must not see it:
// a reload may have taken the right away meanwhile.
func (e *Engine) stillSees(who access.Identity, owner uint32, id task.ID) error {
	return hidden(e.rules.Load().Check(who, access.Request{Action: access.See, Owner: owner}), id)
}

// withTask calls f, under the lock, with the task with this id if the caller may do a
// with it. One that is being committed is not accepted yet, and may never be: whether it
// is is waited for, until ctx is done. Errors: those of findLocked, ctx's, api.ErrDraining.
func (e *Engine) withTask(ctx context.Context, who access.Identity, a access.Action, id task.ID, f func(*ledger.Record)) (err error) {
	for {
		var outcome <-chan struct{}
		e.read(who, func(*effects.List) {
			var r *ledger.Record
			if r, err = e.findLocked(who, a, id); err != nil {
				return
			}
			if x := e.arriving[r]; x != nil && x.stage == committing {
				outcome = x.outcome()
				return
			}
			f(r)
		})
		if outcome == nil {
			return err
		}
		if err := e.await(ctx, outcome, id); err != nil {
			return err
		}
	}
}

// await waits until done is closed. Errors: ctx's, and api.ErrDraining when the engine
// ends before.
func (e *Engine) await(ctx context.Context, done <-chan struct{}, id task.ID) error {
	select {
	case <-done: // even if the others are ready, too
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.stopped:
		return fmt.Errorf("%w before the task has ended: %s", api.ErrDraining, id)
	}
}

// View returns the task as it stands. Errors: task.ErrNotFound, task.ErrEvicted; ctx's,
// while it is being committed.
func (e *Engine) View(ctx context.Context, who access.Identity, id task.ID) (view task.View, err error) {
	err = e.withTask(ctx, who, access.See, id, func(r *ledger.Record) { view = r.View() })
	return view, err
}

// Result waits until the task has ended and returns its Result, which the caller
// must not change. Errors: those of Ended.
func (e *Engine) Result(ctx context.Context, who access.Identity, id task.ID) (*task.Result, error) {
	ev, err := e.Ended(ctx, who, id)
	if err != nil {
		return nil, err
	}
	return ev.Result, nil
}

// Ended waits until the task has ended and returns its last event, which has the Result. It
// returns ctx.Err() when ctx is done first; the task goes on. Errors: those of View,
// api.ErrTooManyWatches, and api.ErrDraining when the engine ends before the task.
func (e *Engine) Ended(ctx context.Context, who access.Identity, id task.ID) (*task.Event, error) {
	var r *ledger.Record
	var done <-chan struct{}
	var end *task.Event
	var refused error
	err := e.withTask(ctx, who, access.See, id, func(found *ledger.Record) {
		switch r = found; {
		case r.Result() != nil:
			end = r.ResultEvent()
			e.store.Given(1)
		case ctx.Err() != nil: // who does not wait, does not watch
			refused = ctx.Err()
		default:
			done, refused = r.Done(), e.takeWatchLocked(who)
		}
	})
	if err = cmp.Or(err, refused); err != nil || end != nil {
		return end, err
	}
	err = e.await(ctx, done, id)
	e.read(who, func(*effects.List) {
		e.watches.give(who.UID)
		err = cmp.Or(err, e.stillSees(who, r.Owner, id))
		if r.Result() != nil && err == nil {
			end = r.ResultEvent()
			e.store.Given(1)
		}
	})
	if err != nil {
		return nil, err
	}
	if end == nil { // it waited for room, and was withdrawn or refused
		return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
	}
	return end, nil
}

// findBatchLocked returns the batch if the caller may see it. Errors:
// api.ErrBatchNotFound.
func (e *Engine) findBatchLocked(who access.Identity, id task.ID) (*ledger.Batch, error) {
	e.evictLocked()
	b := e.store.Batch(id)
	if b == nil || e.rules.Load().Check(who, access.Request{Action: access.See, Owner: b.Owner()}) != nil {
		return nil, fmt.Errorf("%w: %s", api.ErrBatchNotFound, id)
	}
	return b, nil
}

// Batch reports how far a batch is. Errors: api.ErrBatchNotFound.
func (e *Engine) Batch(who access.Identity, id task.ID) (v api.BatchView, err error) {
	e.read(who, func(*effects.List) {
		var b *ledger.Batch
		if b, err = e.findBatchLocked(who, id); err == nil {
			v = b.View()
		}
	})
	return v, err
}
