package daemon

import (
	"context"
	"time"

	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

// clock wakes the engine for what time brings: tasks whose time has come, or has
// passed, schedules, results that are too old. It is also told of what the queue
// did to others than the task at hand, which nobody waits for.
type clock struct{ kicked chan struct{} }

func newClock() clock { return clock{make(chan struct{}, 1)} }

// kick has the clock look again, soon. It does not block.
func (c clock) kick() {
	select {
	case c.kicked <- struct{}{}:
	default:
	}
}

func (c clock) kickIf(yes bool) {
	if yes {
		c.kick()
	}
}

// longestSleep is how long the clock sleeps at most: timers stand still while the
// machine does, and the clock on the wall may be set.
const longestSleep = time.Minute

// keepTime runs until the engine's life ends.
func (e *Engine) keepTime(life context.Context) {
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		timer.Reset(e.tick())
		select {
		case <-timer.C:
		case <-e.clock.kicked:
		case <-life.Done():
			return
		}
	}
}

// tick does what is due and returns when the next thing is.
func (e *Engine) tick() time.Duration {
	now := e.now()
	due := e.dueSchedules(now)
	e.mu.Lock()
	e.queue.Advance(now)
	n, arrived := e.changes()
	var send deliveries
	for _, p := range e.fleet() {
		send = append(send, p.dispatch()...)
	}
	e.store.evict(now)
	wait := e.nextWake(now)
	e.mu.Unlock()
	send.now()
	n.send()
	for _, o := range arrived {
		o.do(e)
	}
	due.submit(e)
	return wait
}

// nextWake is how long the clock may sleep. Engine.mu is held.
func (e *Engine) nextWake(now time.Time) time.Duration {
	wait := longestSleep
	for _, next := range []func() (time.Time, bool){e.queue.Next, e.store.next, e.plan.Next} {
		if at, ok := next(); ok {
			wait = min(wait, at.Sub(now))
		}
	}
	return max(wait, 0)
}

// changes follows what the queue did by itself. A task may be elsewhere again by
// now, so it is its place that counts. Engine.mu is held.
func (e *Engine) changes() (n notices, arrived []outcome) {
	for e.queue.Changed() {
		for _, c := range e.queue.Changes() {
			r := c.Item.Value
			if r.over {
				continue
			}
			if a := e.arriving[r]; a != nil {
				if c.From == queue.Blocked {
					arrived = append(arrived, e.unblocked(a))
				}
				continue
			}
			n = append(n, e.follow(r, c.Item.Place())...)
		}
	}
	return n, arrived
}

// follow gives r the state that goes with its place in the queue.
func (e *Engine) follow(r *record, place queue.Place) notices {
	switch {
	case place == queue.Ready && r.state.Load() == task.Pending:
		_ = e.move(r, task.Queued)
	case (place == queue.Parked || place == queue.Waiting) && r.state.Load() == task.Queued:
		_ = e.move(r, task.Pending)
	case place == queue.Expired:
		return e.finish(r, failure("TaskExpired", "expired", "the task had not started by its expires_at, "+
			r.task.Extras().ExpiresAt.Format(time.RFC3339Nano)))
	case place == queue.Dropped:
		return e.finish(r, failure("TaskDropped", "queue_dropped", "the queue was full, and a newer task took the place of this one"))
	default:
		return nil
	}
	return e.tellState(r, "")
}

// unblocked lets in a task for which there is room now. The journal comes first.
func (e *Engine) unblocked(a *admission) outcome {
	if a.record.volatile || e.journal == nil {
		return outcome{arrived: a}
	}
	return outcome{commit: a}
}
