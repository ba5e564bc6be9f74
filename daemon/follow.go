package daemon

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// piece is what a reader gets at once.
type piece[T any] struct {
	items []T
	// last: nothing follows. more is closed when something does; follow waits for it when
	// there are no items.
	last bool
	more <-chan struct{}
	// err is why nothing follows although it should.
	err error
}

// follow yields what next, which is called under the lock, returns, piece by piece to
// the last. The error within is ctx's, or api.ErrDraining, naming what was followed,
// when the engine ends before. A reader, however slow, holds up nobody.
func follow[T any](ctx context.Context, e *Engine, who access.Identity, what string, next func() piece[T], yield func([]T, error) bool) {
	for {
		var p piece[T]
		e.read(who, func(*effects.List) { p = next() })
		switch {
		case len(p.items) > 0 && !yield(p.items, nil):
			return
		case p.err != nil:
			yield(nil, p.err)
			return
		case p.last:
			return
		case len(p.items) > 0:
			continue
		}
		select {
		case <-p.more:
		case <-ctx.Done():
			yield(nil, ctx.Err())
			return
		case <-e.stopped:
			yield(nil, fmt.Errorf("%w before %s", api.ErrDraining, what))
			return
		}
	}
}

// Events returns the task's events after a cursor, some at a time: those kept, then those
// to come, to its result. The error within is ctx's, or api.ErrDraining when the engine
// ends before the task. Whoever gets them has to range over them. Errors: task.ErrNotFound,
// task.ErrEvicted, api.ErrTooManyWatches.
func (e *Engine) Events(
	ctx context.Context, who access.Identity, id task.ID, after task.Cursor,
) (events iter.Seq2[[]*task.Event, error], err error) {
	var r *ledger.Record
	var log *ledger.EventLog
	var refused error
	err = e.withTask(ctx, who, access.See, id, func(found *ledger.Record) {
		if refused = e.takeWatchLocked(who); refused == nil {
			r, log = found, found.Log()
			e.saveSoon(r) // a log that is new begins with an event
		}
	})
	if err = cmp.Or(err, refused); err != nil {
		return nil, err
	}
	return func(yield func([]*task.Event, error) bool) {
		defer e.endWatch(who)
		at := after
		follow(ctx, e, who, fmt.Sprintf("the task has ended: %s", id), func() piece[*task.Event] { return eventsAfter(r, log, &at) }, yield)
	}, nil
}

// eventsAfter returns what log, of r, has after a cursor, which it moves on.
func eventsAfter(r *ledger.Record, log *ledger.EventLog, after *task.Cursor) (p piece[*task.Event]) {
	p.items, p.more = log.After(*after)
	if n := len(p.items); n > 0 {
		*after = p.items[n-1].Cursor
	}
	p.last = r.Result() != nil // which is the last in the log
	if r.Phase() == ledger.Refused {
		p.err = fmt.Errorf("%w: %s", task.ErrNotFound, r.Task.ID) // it waited for room, and was withdrawn or refused
	}
	return p
}

// BatchResults returns the Results that are still kept, in the order in which the
// tasks ended, then those to come, to the last. The error within is ctx's, or
// api.ErrDraining. Whoever gets them has to range over them. Errors: api.ErrBatchNotFound,
// api.ErrTooManyWatches.
func (e *Engine) BatchResults(ctx context.Context, who access.Identity, id task.ID) (results iter.Seq2[*task.Result, error], err error) {
	var b *ledger.Batch
	e.read(who, func(*effects.List) {
		if b, err = e.findBatchLocked(who, id); err == nil {
			err = e.takeWatchLocked(who)
		}
	})
	if err != nil {
		return nil, err
	}
	return func(yield func(*task.Result, error) bool) {
		defer e.endWatch(who)
		from := 0
		follow(ctx, e, who, fmt.Sprintf("batch %s has ended", id), func() (p piece[*task.Result]) {
			e.evictLocked()
			p.items, from, p.last, p.more = b.Results(from, resultsAtOnce)
			e.store.Given(len(p.items))
			return p
		}, each(yield))
	}, nil
}

// each yields items one by one.
func each[T any](yield func(T, error) bool) func([]T, error) bool {
	return func(items []T, err error) bool {
		if err != nil {
			var none T
			return yield(none, err)
		}
		for _, item := range items {
			if !yield(item, nil) {
				return false
			}
		}
		return true
	}
}

// resultsAtOnce bounds for how long the engine is held up by a reader.
const resultsAtOnce = 1000
