package daemon

import (
	"context"
	"fmt"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
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
	conn    *plugins.Conn
	lost    chan struct{}
	current *record
	// stuck is how current ends, which is overdue and goes on: its next attempt must
	// not begin beside it. Its worker is fenced.
	stuck *plugins.Outcome
	lease balancer.Lease
	seq   uint64
}

func (s *slot) engine() *Engine { return s.pool.engine }

// with calls f with the task that seq means, unless the slot has it no more.
func (s *slot) with(seq uint64, f func(r *record, fx *effects.List)) {
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
	s.with(seq, func(r *record, fx *effects.List) {
		e := s.engine()
		r.started = e.now().UnixNano()
		if e.moveLocked(r, task.Running) == nil {
			e.tellState(r, "", fx)
		}
	})
}

// Partial implements plugins.Handler.
func (s *slot) Partial(seq, _ uint64, value []byte) {
	s.event(seq, task.EventPartial, func(ev *task.Event) { ev.Value = value })
}

// Progress implements plugins.Handler.
func (s *slot) Progress(seq uint64, fraction float64, message string) {
	s.event(seq, task.EventProgress, func(ev *task.Event) { ev.Fraction, ev.Message = &fraction, message })
}

// Log implements plugins.Handler.
func (s *slot) Log(seq uint64, level, message string) {
	s.event(seq, task.EventLog, func(ev *task.Event) { ev.Level, ev.Message = level, message })
}

// event notes one event of the running task and tells its verbose watchers.
func (s *slot) event(seq uint64, kind task.EventKind, fill func(*task.Event)) {
	s.with(seq, func(r *record, fx *effects.List) {
		ev := r.event(kind)
		fill(ev)
		s.engine().tell(r, ev, fx)
	})
}

// Ended implements plugins.Handler: the slot is free again, and gets its next
// task before anyone is told of this one, so that it idles as little as it can.
func (s *slot) Ended(seq uint64, o plugins.Outcome) {
	s.with(seq, func(r *record, fx *effects.List) {
		s.engine().finish(r, o, fx)
		r.suspect = false // it has not killed this one
		if o.RunTime > 0 {
			s.pool.estimates.Observe(entryOf(r.task), o.RunTime)
		}
		s.worker.endedLocked()
		s.release(fx)
	})
}

// Skipped implements plugins.Handler: the task waits for another worker, as this
// one drains, or for a thread.
func (s *slot) Skipped(seq uint64, needsThread bool) {
	s.with(seq, func(r *record, fx *effects.List) {
		if needsThread {
			s.pool.refused(r.task)
			r.attempts-- // nothing of it has run
			s.requeueLocked(r)
			s.release(fx)
			return
		}
		s.current = nil
		s.requeueLocked(r)
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

// requeueLocked puts a task that did not end back to the front.
func (s *slot) requeueLocked(r *record) {
	if r.guard != nil {
		r.guard.Stop()
	}
	r.slot, r.worker, r.started = nil, nil, 0
	queue, lane := s.engine().queue, s.pool.laneOf(r).index
	if r.state.Load() != task.Running {
		queue.Return(s.engine().now(), r.item, lane)
		return
	}
	_ = s.engine().moveLocked(r, task.Queued) // the table has it
	queue.Retry(s.engine().now(), r.item, lane, time.Time{})
	s.engine().noteLocked(r, time.Time{})
}

// abandon deals with the task of a slot whose process is dead, which may be to
// blame, and surely is when it was alone.
func (s *slot) abandon(blame, alone bool, fx *effects.List) {
	r := s.current
	s.current = nil
	if r == nil || r.slot != s { // it has ended, as when the daemon stops
		return
	}
	e, running := s.engine(), r.state.Load() == task.Running
	switch {
	case r.stopping:
		e.finish(r, cancelled(), fx) // or its cancel would be forgotten
	case e.stopping: // what is in the journal goes on at the next start
		s.requeueLocked(r)
	case s.stuck != nil:
		e.finish(r, *s.stuck, fx)
	case running && r.task.Extras().OnWorkerLost == task.Fail:
		e.finish(r, s.workerLost("and the task must not run twice"), fx)
	case running && blame && s.suspect(r, alone, fx):
		e.finish(r, s.workerLost("the second time that one died while it ran this task alone"), fx)
	default:
		s.requeueLocked(r)
	}
}

// workerLost is the end of a task whose worker was lost.
func (s *slot) workerLost(why string) plugins.Outcome {
	return failure("WorkerLost", "worker_lost",
		fmt.Sprintf("worker %s ended while it ran this task (%s), %s", s.worker.spec.ID, s.worker.process.Exit(), why))
}

// cancel asks the worker to stop a task that it has been sent.
func (s *slot) cancel(r *record, seq uint64, reason plugins.StopReason) {
	ctx, cancel := context.WithTimeout(context.Background(), s.engine().limits().CancelGrace)
	defer cancel()
	claim, err := s.worker.process.Cancel(ctx, s.index, seq, reason)
	if err != nil || claim != plugins.Recalled {
		return // claimed: its Result comes; an error: the guard or the worker's end does
	}
	s.with(seq, func(now *record, fx *effects.List) {
		if now == r {
			s.engine().finish(r, cancelled(), fx)
			s.release(fx)
		}
	})
}

// recall takes a task back that the leaving worker may not have begun.
func (s *slot) recall(r *record, seq uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), s.engine().limits().CancelGrace)
	defer cancel()
	claim, err := s.worker.process.Recall(ctx, s.index, seq)
	if err != nil || claim != plugins.Recalled {
		return // as in cancel
	}
	s.with(seq, func(now *record, fx *effects.List) {
		if now == r {
			r.attempts-- // nothing of it has run
			s.requeueLocked(r)
			s.release(fx)
		}
	})
}

// overdue ends a task that did not stop within its grace, and fences its worker.
func (s *slot) overdue(r *record, seq uint64, reason plugins.StopReason) {
	s.with(seq, func(now *record, fx *effects.List) {
		if now != r {
			return
		}
		if o := overdue(reason, time.Duration(r.task.Timeout)); r.mayRetry(o.Status) {
			s.stuck = &o
		} else {
			s.engine().finish(r, o, fx)
			s.current, s.stuck = nil, nil // and its lease is never released
		}
		s.worker.fence(fmt.Sprintf("task %s (%s) did not stop", r.task.ID, r.task.ScriptPath), fx)
		s.engine().checkIdleLocked()
	})
}
