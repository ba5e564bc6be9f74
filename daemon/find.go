package daemon

import (
	"context"
	"errors"
	"fmt"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// findLocked returns the task with this id if the caller may do a with it. Errors:
// task.ErrNotFound, also for somebody else's task; task.ErrEvicted.
func (e *Engine) findLocked(who access.Identity, a access.Action, id task.ID) (*ledger.Record, error) {
	e.evictLocked()
	r, err := e.store.Find(id)
	if err != nil {
		return nil, err
	}
	err = e.rules.Check(who, access.Request{Action: a, Owner: r.Owner})
	if errors.Is(err, access.ErrHidden) || r.Phase() == ledger.Arriving {
		return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
	}
	return r, err
}

// View returns the task as it stands. Errors: task.ErrNotFound, task.ErrEvicted.
func (e *Engine) View(who access.Identity, id task.ID) (view task.View, err error) {
	e.do(func(*effects.List) {
		var r *ledger.Record
		if r, err = e.findLocked(who, access.See, id); err == nil {
			view = r.View()
		}
	})
	return view, err
}

// Result waits until the task has ended and returns its Result, which the caller
// must not change. It returns ctx.Err() when ctx is done first; the task goes on.
// Errors: those of View, and api.ErrDraining when the engine ends before the task.
func (e *Engine) Result(ctx context.Context, who access.Identity, id task.ID) (*task.Result, error) {
	var r *ledger.Record
	var err error
	var done <-chan struct{}
	e.do(func(*effects.List) {
		if r, err = e.findLocked(who, access.See, id); err == nil {
			done = r.Done()
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-done:
	default:
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-e.stopped:
			return nil, fmt.Errorf("%w before the task has ended: %s", api.ErrDraining, id)
		}
	}
	var res *task.Result
	e.do(func(*effects.List) {
		e.store.Given(1)
		res = r.Result()
	})
	return res, nil
}

// findBatchLocked returns the batch if the caller may see it. Errors:
// api.ErrBatchNotFound.
func (e *Engine) findBatchLocked(who access.Identity, id task.ID) (*ledger.Batch, error) {
	b := e.store.Batch(id)
	if b == nil || e.rules.Check(who, access.Request{Action: access.See, Owner: b.Owner()}) != nil {
		return nil, fmt.Errorf("%w: %s", api.ErrBatchNotFound, id)
	}
	return b, nil
}

// Batch reports how far a batch is. Errors: api.ErrBatchNotFound.
func (e *Engine) Batch(who access.Identity, id task.ID) (v api.BatchView, err error) {
	e.do(func(*effects.List) {
		var b *ledger.Batch
		if b, err = e.findBatchLocked(who, id); err == nil {
			v = b.View()
		}
	})
	return v, err
}
