package daemon

import (
	"context"
	"math"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
)

// lastCommit bounds how long Stop waits for the disk.
const lastCommit = 10 * time.Second

// Stop ends the engine: nothing new is accepted or started, running tasks may end
// until ctx is done, then all workers are stopped. Tasks in the journal go on at the
// next start; all others fail with the code "daemon_stopped", so that nobody waits in
// vain.
func (e *Engine) Stop(ctx context.Context) {
	var idle <-chan struct{}
	e.do(func(fx *effects.List) {
		e.stopping = true
		if e.swaps.stop != nil {
			e.swaps.stop(errStopping)
		}
		e.drainLocked(fx)
		idle = e.idle
		e.refuseBlocked(fx)
	})
	select {
	case <-idle:
	case <-ctx.Done():
	}
	e.do(func(fx *effects.List) {
		e.running = false
		e.withdraw()
		e.failVolatile(fx)
		e.notePlanLocked()
		e.saveEventsLocked(math.MaxInt64)
	})
	e.fleet.Stop(ctx)
	e.endLife()
	e.loops.Wait()
	last, cancel := context.WithTimeout(context.Background(), lastCommit)
	defer cancel()
	e.closeJournal(last)
	close(e.stopped)
}

// drainLocked begins to drain, or goes on.
func (e *Engine) drainLocked(fx *effects.List) {
	if !e.draining {
		e.draining, e.idle = true, make(chan struct{})
	}
	for _, p := range e.fleet.AllLocked() {
		p.EmptyWindows(fx)
	}
	e.checkIdleLocked()
}

// refuseBlocked refuses the tasks that wait for room in the queue.
func (e *Engine) refuseBlocked(fx *effects.List) {
	for _, a := range e.arriving {
		if a.stage == blocked {
			e.turnAway(a, api.ErrDraining, fx)
		}
	}
}

// failVolatile ends every task that would not outlive the daemon, which has no time for
// another attempt.
func (e *Engine) failVolatile(fx *effects.List) {
	var all []*ledger.Record
	for r := range e.store.Unended() {
		if !r.Phase().Over() && (r.Volatile || e.journal == nil) {
			all = append(all, r)
		}
	}
	for _, r := range all {
		e.end(r, stopped(), fx)
	}
}

// checkIdleLocked closes idle when the engine drains and no slot is busy.
func (e *Engine) checkIdleLocked() {
	if !e.draining || e.fleet.BusyLocked() {
		return
	}
	select {
	case <-e.idle:
	default:
		close(e.idle)
	}
}
