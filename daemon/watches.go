package daemon

import (
	"context"
	"fmt"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
	"cpulb/internal/share"
)

// watches counts who waits for what happens to tasks: on a stream for each task submitted
// there, and for each request that waits for a result, for events or for a batch. It is
// guarded by the engine's lock.
type watches struct {
	used int64
	own  map[uint32]int64
}

func (w *watches) give(uid uint32) {
	w.used--
	if w.own[uid]--; w.own[uid] == 0 {
		delete(w.own, uid)
	}
}

// takeWatchLocked counts one more watch of a caller's. Errors: api.ErrTooManyWatches.
func (e *Engine) takeWatchLocked(who access.Identity) error {
	most, w := int64(e.limits().Watches), &e.watches
	if !share.Fits(most, w.used, w.own[who.UID], 1, e.Administers(who)) {
		return fmt.Errorf("%w: your share of limits.watches: %d of %d, all callers have %d", api.ErrTooManyWatches, w.own[who.UID], most, w.used)
	}
	w.used++
	w.own[who.UID]++
	return nil
}

// endWatchAfter ends that of a request with it.
func (e *Engine) endWatchAfter(ctx context.Context, who access.Identity) {
	context.AfterFunc(ctx, func() {
		e.read(who, func(*effects.List) { e.watches.give(who.UID) })
	})
}

// watchLocked has w, which may be nil, hear of what follows of r. Errors:
// api.ErrTooManyWatches.
func (e *Engine) watchLocked(who access.Identity, r *ledger.Record, w task.Watcher) error {
	if w == nil || r.Watches(w) {
		return nil
	}
	if err := e.takeWatchLocked(who); err != nil {
		return err
	}
	r.Watch(ledger.Watching{Watcher: w, UID: who.UID})
	return nil
}

// unwatchedLocked gives back the watches of those who have been taken off their task.
func (e *Engine) unwatchedLocked(all []ledger.Watching) {
	for i := range all {
		e.watches.give(all[i].UID)
	}
}

// Unwatch takes w, which was handed to Submit, off the task with this id: but for what is on
// its way it hears of nothing more.
func (e *Engine) Unwatch(who access.Identity, id task.ID, w task.Watcher) {
	e.read(who, func(*effects.List) {
		r := e.store.Get(id)
		if r == nil {
			return
		}
		if uid, ok := r.Unwatch(w); ok {
			e.watches.give(uid)
		}
	})
}
