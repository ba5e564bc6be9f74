package daemon

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// piece is what a reader gets at once.
type piece[T any] struct {
	items []T
	bytes int64 // of them
	// last: nothing follows. more is closed when something does; follow waits for it when
	// there are no items.
	last bool
	more <-chan struct{}
	// err is why nothing follows although it should.
	err error
}

// portion is how much a reader gets at once: so that it holds up nobody, and keeps little of
// what goes while it is slow.
func portion() ledger.Portion { return ledger.Portion{Items: 250, Bytes: 256 << 10} }

// follow yields what next, which is called under the lock, returns, piece by piece to
// the last. The error within is ctx's, or api.ErrDraining, naming what was followed,
// when the engine ends before. A reader, however slow, holds up nobody, and many of one
// caller hold up those of others no more than a few.
func follow[T any](ctx context.Context, e *Engine, who access.Identity, what string, next func() piece[T], yield func([]T, error) bool) {
	defer e.turnstile.follows(who.UID)()
	for {
		e.turnstile.pause(ctx, who.UID)
		var p piece[T]
		e.read(who, func(*effects.List) { p = next() })
		e.turnstile.charge(who.UID, time.Duration(len(p.items))*itemCost+time.Duration(p.bytes)*byteCost)
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
// ends before the task. The caller counts as one that waits until ctx is done. Errors:
// task.ErrNotFound, task.ErrEvicted, api.ErrTooManyWatches.
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
	e.endWatchAfter(ctx, who)
	return func(yield func([]*task.Event, error) bool) {
		at := after
		follow(ctx, e, who, fmt.Sprintf("the task has ended: %s", id), func() piece[*task.Event] {
			if err := e.stillSees(who, r.Owner, id); err != nil {
				return piece[*task.Event]{err: err}
			}
			return eventsAfter(r, log, &at)
		}, yield)
	}, nil
}

// eventsAfter returns what log, of r, has after a cursor, which it moves on.
func eventsAfter(r *ledger.Record, log *ledger.EventLog, after *task.Cursor) (p piece[*task.Event]) {
	p.items, p.more = log.After(*after, portion())
	for _, ev := range p.items {
		p.bytes += ledger.SizeOf(ev)
		*after = ev.Cursor
	}
	n := len(p.items)
	p.last = r.Result() != nil && (n == 0 || p.items[n-1].Kind == task.EventResult)
	if r.Phase() == ledger.Refused {
		p.err = fmt.Errorf("%w: %s", task.ErrNotFound, r.Task.ID) // it waited for room, and was withdrawn or refused
	}
	return p
}

// BatchResults returns the Results, some at a time: those that are still kept, in the order in which the
// tasks ended, then those to come, to the last. The error within is ctx's, or
// api.ErrDraining. The caller counts as one that waits until ctx is done. Errors:
// api.ErrBatchNotFound, api.ErrTooManyWatches.
func (e *Engine) BatchResults(ctx context.Context, who access.Identity, id task.ID) (results iter.Seq2[[]*task.Result, error], err error) {
	var b *ledger.Batch
	e.read(who, func(*effects.List) {
		if b, err = e.findBatchLocked(who, id); err == nil {
			err = e.takeWatchLocked(who)
		}
	})
	if err != nil {
		return nil, err
	}
	e.endWatchAfter(ctx, who)
	return func(yield func([]*task.Result, error) bool) {
		from := 0
		follow(ctx, e, who, fmt.Sprintf("batch %s has ended", id), func() (p piece[*task.Result]) {
			if p.err = e.stillSees(who, b.Owner(), id); p.err != nil {
				return p
			}
			e.evictLocked()
			p.items, from, p.last, p.more = b.Results(from, portion())
			e.store.Given(len(p.items))
			for _, res := range p.items {
				p.bytes += res.Size()
			}
			return p
		}, yield)
	}, nil
}
