package fleet

import (
	"context"
	"fmt"

	"cpulb/daemon/effects"
)

// A program that was no canary, or that has passed as one, gets more and more tasks while the
// workers are exchanged. If one of its workers dies then, breaks the contract, does not answer or
// can run nothing more, no further worker is exchanged.

// rolling is the exchange of a pool's workers that is under way.
type rolling struct {
	command string // of the new ones
	stop    context.CancelCauseFunc
}

// Watch has the exchange of an executor's workers end when a new one fails by itself.
func (r *Rollout) Watch(executor string) {
	for _, c := range r.changes {
		if c.exchanged && !c.fresh && c.layout.config.Executor == executor {
			c.watched = true
		}
	}
}

// watch returns what is done once ctx is, or a new worker has failed, until end.
func (r *Rollout) watch(ctx context.Context) (_ context.Context, end func()) {
	ctx, stop := context.WithCancelCause(ctx)
	set := func(to func(c *change) *rolling) {
		r.fleet.do(func(*effects.List) {
			for _, c := range r.changes {
				if c.watched {
					c.pool.rolling = to(c)
				}
			}
		})
	}
	set(func(c *change) *rolling { return &rolling{c.layout.spec.Command, stop} })
	return ctx, func() {
		set(func(*change) *rolling { return nil })
		stop(nil)
	}
}

// failedRoll ends the exchange in which the worker came, if it is under way.
func (w *Worker) failedRoll(what string) {
	if r := w.pool.rolling; r != nil && w.spec.Command == r.command {
		r.stop(fmt.Errorf("worker %s %s%s", w.spec.ID, what, w.words()))
	}
}

// words say what ran in the worker before.
func (w *Worker) words() string {
	if before := w.ranBefore(); len(before) > 0 {
		return fmt.Sprintf("; in it ran %s", before)
	}
	return ""
}
