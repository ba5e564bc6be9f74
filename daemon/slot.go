package daemon

import (
	"context"
	"fmt"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// slot is the daemon's end of one thread of a worker, or of one place on its loop; it implements
// plugins.Handler. Engine.mu guards current, lease and seq. A slot lives as long
// as its worker.
type slot struct {
	pool *pool
	// worker is another one once a spare has got a seat. Until then the slot has no
	// task.
	worker *worker
	lane   *lane
	index  int
	// conn is set, under Engine.mu, before the slot gets its first task, and does
	// not change.
	conn    fleet.Conn
	lost    chan struct{}
	current *ledger.Record
	// stuck is how current ends, which is overdue and goes on: its next attempt must
	// not begin beside it. Its worker is fenced.
	stuck *plugins.Outcome
	lease balancer.Lease
	seq   uint64
	guard *time.Timer // ends a worker whose task does not stop in time
}

func (s *slot) engine() *Engine { return s.pool.engine }

// with calls f with the task that seq means, unless the slot has it no more.
func (s *slot) with(seq uint64, f func(r *ledger.Record, fx *effects.List)) {
	s.engine().do(func(fx *effects.List) {
		if s.current != nil && s.seq == seq {
			f(s.current, fx)
		}
	})
}

// Send implements effects.Sender. A worker with a slot that can't be written to is
// of no use: it is ended, and its seat sees to the tasks once everything that the
// worker had written has been read.
func (s *slot) Send(t *plugins.Task) {
	if err := s.conn.Send(t); err != nil {
		go s.worker.process.Kill()
	}
}

// Started implements plugins.Handler.
func (s *slot) Started(seq uint64) {
	s.with(seq, func(r *ledger.Record, fx *effects.List) {
		if e := s.engine(); r.Phase() == ledger.Sent {
			r.Begin(e.now())
			e.move(r, ledger.Running, fx)
			e.tellStatus(r, "", fx)
		}
	})
}

// Partial implements plugins.Handler.
func (s *slot) Partial(seq, _ uint64, value []byte) {
	s.event(seq, &task.Event{Kind: task.EventPartial, Value: value})
}

// Progress implements plugins.Handler.
func (s *slot) Progress(seq uint64, fraction float64, message string) {
	s.event(seq, &task.Event{Kind: task.EventProgress, Fraction: &fraction, Message: message})
}

// Log implements plugins.Handler.
func (s *slot) Log(seq uint64, level, message string) {
	s.event(seq, &task.Event{Kind: task.EventLog, Level: level, Message: message})
}

// event notes one event of the running task and tells its verbose watchers.
func (s *slot) event(seq uint64, ev *task.Event) {
	s.with(seq, func(r *ledger.Record, fx *effects.List) { s.engine().tell(r, ev, fx) })
}

// Ended implements plugins.Handler: the slot is free again, and gets its next
// task before anyone is told of this one, so that it idles as little as it can.
func (s *slot) Ended(seq uint64, o plugins.Outcome) {
	s.with(seq, func(r *ledger.Record, fx *effects.List) {
		s.engine().finish(r, o, fx)
		r.Suspect = false // it has not killed this one
		if o.RunTime > 0 {
			s.pool.estimates.Observe(entryOf(r.Task), o.RunTime)
		}
		s.worker.endedLocked()
		s.release(fx)
	})
}

// Skipped implements plugins.Handler: the task waits for another worker, as this
// one drains, or for a thread.
func (s *slot) Skipped(seq uint64, needsThread bool) {
	s.with(seq, func(r *ledger.Record, fx *effects.List) {
		if needsThread {
			s.pool.refused(r.Task)
			r.Attempts-- // nothing of it has run
			s.requeue(r, fx)
			s.release(fx)
			return
		}
		s.current = nil
		s.requeue(r, fx)
		s.worker.settle(fx)
	})
}

// Lost implements plugins.Handler. A worker without one of its slots is of no
// use; its end is the seat's to deal with.
func (s *slot) Lost(error) {
	s.engine().do(func(fx *effects.List) {
		close(s.lost)
		if p := s.worker.process; p != nil { // nil: it is still being started
			fx.Process(p.Kill)
		}
	})
}

// release frees the slot and finds work for it.
func (s *slot) release(fx *effects.List) {
	s.current, s.stuck = nil, nil
	if s.worker.state.Load().TakesTasks() {
		s.worker.freeLocked(s.lane, s.lease)
	}
	s.worker.settle(fx)
	s.engine().checkIdleLocked()
	s.pool.dispatch(fx)
}

// requeue puts a task that did not end back to the front.
func (s *slot) requeue(r *ledger.Record, fx *effects.List) {
	if !r.Phase().InSlot() {
		return // it has ended, as when the daemon stops
	}
	e, ran := s.engine(), r.Phase() == ledger.Running
	e.takeBackLocked(r)
	r.Reset()
	e.move(r, ledger.Ready, fx)
	if lane := s.pool.laneOf(r).index; ran {
		e.queue.Retry(e.now(), r.Item, lane, time.Time{})
		e.noteLocked(r, time.Time{})
	} else {
		e.queue.Return(e.now(), r.Item, lane)
	}
}

// abandon deals with the task of a slot whose process is dead, which may be to
// blame, and surely is when it was alone.
func (s *slot) abandon(blame, alone bool, fx *effects.List) {
	r := s.current
	s.current = nil
	if r == nil || s.engine().slots[r] != s { // it has ended, as when the daemon stops
		return
	}
	e, running := s.engine(), r.Phase() == ledger.Running
	switch {
	case r.Stopping:
		e.finish(r, cancelled(), fx) // or its cancel would be forgotten
	case e.stopping: // what is in the journal goes on at the next start
		s.requeue(r, fx)
	case s.stuck != nil:
		e.finish(r, *s.stuck, fx)
	case running && r.Task.Extras().OnWorkerLost == task.Fail:
		e.end(r, s.workerLost("and the task must not run twice"), fx)
	case running && blame && s.suspect(r, alone, fx):
		e.end(r, s.workerLost("the second time that one died while it ran this task alone"), fx)
	default:
		s.requeue(r, fx)
	}
}

// workerLost is the end of a task whose worker was lost.
func (s *slot) workerLost(why string) plugins.Outcome {
	return failure("WorkerLost", "worker_lost",
		fmt.Sprintf("worker %s ended while it ran this task (%s), %s", s.worker.spec.ID, s.worker.process.Exit(), why))
}

// stop asks the worker to end the slot's task, and gives it a grace. The answer of a
// task that was recalled unread comes as its end here; every other way ends with its
// Result.
func (s *slot) stop(reason plugins.StopReason, fx *effects.List) {
	s.guardAfterLocked(s.engine().limits().CancelGrace, reason)
	seq := s.seq
	fx.Process(func() { s.cancel(seq, reason) })
}

// guardAfterLocked arms the last rung: after d the slot's worker is ended if it still
// has the task.
func (s *slot) guardAfterLocked(d time.Duration, reason plugins.StopReason) {
	s.unguardLocked()
	seq := s.seq
	s.guard = time.AfterFunc(d, func() { s.overdue(seq, reason) })
}

func (s *slot) unguardLocked() {
	if s.guard != nil {
		s.guard.Stop()
	}
}

// cancel asks the worker to stop a task that it has been sent.
func (s *slot) cancel(seq uint64, reason plugins.StopReason) {
	ctx, cancel := context.WithTimeout(context.Background(), s.engine().limits().CancelGrace)
	defer cancel()
	claim, err := s.worker.process.Cancel(ctx, s.index, seq, reason)
	if err != nil || claim != plugins.Recalled {
		return // claimed: its Result comes; an error: the guard or the worker's end does
	}
	s.with(seq, func(r *ledger.Record, fx *effects.List) {
		s.engine().finish(r, cancelled(), fx)
		s.release(fx)
	})
}

// recall takes a task back that the leaving worker may not have begun.
func (s *slot) recall(seq uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), s.engine().limits().CancelGrace)
	defer cancel()
	claim, err := s.worker.process.Recall(ctx, s.index, seq)
	if err != nil || claim != plugins.Recalled {
		return // as in cancel
	}
	s.with(seq, func(r *ledger.Record, fx *effects.List) {
		r.Attempts-- // nothing of it has run
		s.requeue(r, fx)
		s.release(fx)
	})
}

// overdue ends a task that did not stop within its grace, and fences its worker.
func (s *slot) overdue(seq uint64, reason plugins.StopReason) {
	s.with(seq, func(r *ledger.Record, fx *effects.List) {
		if o := overdue(reason, time.Duration(r.Task.Timeout)); r.MayRetry(o.Status) {
			s.stuck = &o
		} else {
			s.engine().finish(r, o, fx)
			s.current, s.stuck = nil, nil // and its lease is never released
		}
		s.worker.fence(fmt.Sprintf("task %s (%s) did not stop", r.Task.ID, r.Task.ScriptPath), fx)
		s.worker.settle(fx) // it may have been fenced before, and this was the last task in it
		s.engine().checkIdleLocked()
	})
}
