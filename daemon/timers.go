package daemon

import (
	"context"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
)

// timers wakes the engine when something is due: a delayed task, an expiry, a retry, a
// schedule, an eviction. It is also kicked when a queue operation changed items other
// than its own.
type timers struct{ kicked chan struct{} }

func newTimers() timers { return timers{make(chan struct{}, 1)} }

// kick makes the timers look again, soon. It does not block.
func (t timers) kick() {
	select {
	case t.kicked <- struct{}{}:
	default:
	}
}

func (t timers) kickIf(yes bool) {
	if yes {
		t.kick()
	}
}

const (
	// longestSleep bounds how long the timers sleep: they stand still while the machine is
	// suspended.
	longestSleep = time.Minute
	// wallSleep is as much while an instant is awaited: the clock on the wall may be set
	// meanwhile, and nobody says so.
	wallSleep = time.Second / 4
	// heldSleep is as much while dispatch waits for the disk.
	heldSleep = 100 * time.Millisecond
)

// keepTime does what falls due until the engine's life ends.
func (e *Engine) keepTime(life context.Context) {
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		timer.Reset(e.tick())
		select {
		case <-timer.C:
		case <-e.timers.kicked:
		case <-life.Done():
			return
		}
	}
}

// tick does what is due and returns when the next thing is.
func (e *Engine) tick() (wait time.Duration) {
	now := e.moment()
	e.runSchedules(now)
	e.aside(func(fx *effects.List) {
		e.queue.Advance(now)
		e.changes(fx)
		for _, p := range e.fleet.AllLocked() {
			e.dispatch(p, fx)
		}
		e.evictLocked()
		wait = e.nextWakeLocked(now)
	})
	return wait
}

// nextWakeLocked is how long the timers may sleep.
func (e *Engine) nextWakeLocked(now queue.Now) time.Duration {
	wait := longestSleep
	at, due := e.queue.Next()
	if e.held { // what is written is not always somebody's Result
		wait = heldSleep
	}
	if due != 0 {
		wait = min(wait, due-now.Uptime)
	}
	for _, p := range e.fleet.AllLocked() {
		if due := p.ReliefDue(); due != 0 && !e.draining && !e.held {
			wait = min(wait, due-e.elapsed())
		}
	}
	if uptime, ok := e.store.NextEviction(); ok {
		wait = min(wait, uptime-now.Uptime)
	}
	var scheduled time.Time
	if !e.draining && e.running {
		if scheduled, _ = e.plan.Next(); e.plan.Waits() { // for an attempt that still runs, which nobody reports
			wait = min(wait, wallSleep)
		}
	}
	for _, at := range []time.Time{at, scheduled} {
		if !at.IsZero() {
			wait = min(wait, at.Sub(now.Wall), wallSleep)
		}
	}
	return max(wait, 0)
}

// changes follows up on items that the queue moved by itself. An item may have moved
// again since, so its present place counts.
func (e *Engine) changes(fx *effects.List) {
	for e.queue.Changed() {
		for _, c := range e.queue.Changes() {
			switch r := c.Item.Value; {
			case r.Phase().Over():
			case e.arriving[r] == nil:
				e.follow(r, c.Item.Place(), fx)
			case c.From == queue.Blocked:
				e.unblocked(e.arriving[r], fx)
			}
		}
	}
}

// follow gives r the phase that goes with its place in the queue.
func (e *Engine) follow(r *ledger.Record, place queue.Place, fx *effects.List) {
	switch {
	case place == queue.Ready && r.Phase() == ledger.Delayed:
		e.move(r, ledger.Ready, fx)
	case (place == queue.Parked || place == queue.Waiting) && r.Phase() == ledger.Ready:
		e.move(r, ledger.Delayed, fx)
	case place == queue.Expired:
		e.finish(r, failure("TaskExpired", "expired", "the task had not started by its expires_at, "+
			r.Task.Extras().ExpiresAt.Format(time.RFC3339Nano)), fx)
		return
	case place == queue.Dropped:
		e.finish(r, failure("TaskDropped", "queue_dropped", "there was no room left in the queue, and a newer task took the place of this one"), fx)
		return
	default:
		return
	}
	e.notifyStatus(r, "", fx)
}
