package daemon

import (
	"context"
	"fmt"
	"time"

	"cpulb/balancer"
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

// of returns the task that seq means, nil if it is not the slot's any more.
func (s *slot) of(seq uint64) *record {
	if s.current == nil || s.seq != seq {
		return nil
	}
	return s.current
}

// Started implements plugins.Handler.
func (s *slot) Started(seq uint64) {
	e := s.engine()
	e.mu.Lock()
	r := s.of(seq)
	if r == nil {
		e.mu.Unlock()
		return
	}
	r.started = e.now().UnixNano()
	var n notices
	if e.move(r, task.Running) == nil {
		n = e.tellState(r, "")
	}
	e.mu.Unlock()
	n.send()
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
	e := s.engine()
	e.mu.Lock()
	r := s.of(seq)
	if r == nil {
		e.mu.Unlock()
		return
	}
	ev := r.event(kind)
	fill(ev)
	n := e.tell(r, ev)
	e.mu.Unlock()
	n.send()
}

// Ended implements plugins.Handler: the slot is free again, and gets its next
// task before anyone is told of this one, so that it idles as little as it can.
func (s *slot) Ended(seq uint64, o plugins.Outcome) {
	e := s.engine()
	e.mu.Lock()
	r := s.of(seq)
	if r == nil {
		e.mu.Unlock()
		return
	}
	n := e.finish(r, o)
	r.suspect = false // it has not killed this one
	if o.RunTime > 0 {
		s.pool.estimates.Observe(entryOf(r.task), o.RunTime)
	}
	s.worker.ended()
	send := s.release()
	e.mu.Unlock()
	send.now()
	n.send()
}

// Skipped implements plugins.Handler: the task waits for another worker, as this
// one drains, or for a thread.
func (s *slot) Skipped(seq uint64, needsThread bool) {
	e := s.engine()
	e.mu.Lock()
	r := s.of(seq)
	if r == nil {
		e.mu.Unlock()
		return
	}
	var send deliveries
	if needsThread {
		s.pool.refused(r.task)
		r.attempts-- // nothing of it has run
		s.requeue(r)
		send = s.release()
	} else {
		s.current = nil
		s.requeue(r)
		s.worker.settle()
	}
	e.mu.Unlock()
	send.now()
}

// Lost implements plugins.Handler. A worker without one of its slots is of no
// use; its end is the seat's to deal with.
func (s *slot) Lost(error) {
	s.engine().mu.Lock()
	defer s.engine().mu.Unlock()
	close(s.lost)
	if p := s.worker.process; p != nil { // nil: it is still being started
		go p.Kill()
	}
}

// release frees the slot and finds work for it. Engine.mu is held.
func (s *slot) release() deliveries {
	s.current, s.stuck = nil, nil
	if s.worker.state.Load().TakesTasks() {
		s.worker.free(s.lane, s.lease)
	}
	s.worker.settle()
	s.engine().checkIdle()
	return s.pool.dispatch()
}

// requeue puts a task that did not end back to the front. Engine.mu is held.
func (s *slot) requeue(r *record) {
	if r.guard != nil {
		r.guard.Stop()
	}
	r.slot, r.worker, r.started = nil, nil, 0
	queue, lane := s.engine().queue, s.pool.laneOf(r).index
	if r.state.Load() != task.Running {
		queue.Return(s.engine().now(), r.item, lane)
		return
	}
	_ = s.engine().move(r, task.Queued) // the table has it
	queue.Retry(s.engine().now(), r.item, lane, time.Time{})
	s.engine().note(r, time.Time{})
}

// abandon deals with the task of a slot whose process is dead, which may be to
// blame, and surely is when it was alone. Engine.mu is held.
func (s *slot) abandon(blame, alone bool) notices {
	r := s.current
	s.current = nil
	if r == nil || r.slot != s { // it has ended, as when the daemon stops
		return nil
	}
	e, running := s.engine(), r.state.Load() == task.Running
	switch {
	case r.stopping:
		return e.finish(r, cancelled()) // or its cancel would be forgotten
	case e.stopping: // what is in the journal goes on at the next start
	case s.stuck != nil:
		return e.finish(r, *s.stuck)
	case running && r.task.Extras().OnWorkerLost == task.Fail:
		return e.finish(r, s.workerLost("and the task must not run twice"))
	case running && blame && s.suspect(r, alone):
		return e.finish(r, s.workerLost("the second time that one died while it ran this task alone"))
	}
	s.requeue(r)
	return nil
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
	e := s.engine()
	e.mu.Lock()
	var n notices
	var send deliveries
	if s.of(seq) == r {
		n = e.finish(r, cancelled())
		send = s.release()
	}
	e.mu.Unlock()
	send.now()
	n.send()
}

// recall takes a task back that the leaving worker may not have begun.
func (s *slot) recall(r *record, seq uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), s.engine().limits().CancelGrace)
	defer cancel()
	claim, err := s.worker.process.Recall(ctx, s.index, seq)
	if err != nil || claim != plugins.Recalled {
		return // as in cancel
	}
	e := s.engine()
	e.mu.Lock()
	var send deliveries
	if s.of(seq) == r {
		r.attempts-- // nothing of it has run
		s.requeue(r)
		send = s.release()
	}
	e.mu.Unlock()
	send.now()
}

// overdue ends a task that did not stop within its grace, and fences its worker.
func (s *slot) overdue(r *record, seq uint64, reason plugins.StopReason) {
	e := s.engine()
	e.mu.Lock()
	if s.of(seq) != r {
		e.mu.Unlock()
		return
	}
	o := overdue(reason, time.Duration(r.task.Timeout))
	var n notices
	if r.mayRetry(o.Status) {
		s.stuck = &o
	} else {
		n = e.finish(r, o)
		s.current, s.stuck = nil, nil // and its lease is never released
	}
	s.worker.fence(fmt.Sprintf("task %s (%s) did not stop", r.task.ID, r.task.ScriptPath))
	e.checkIdle()
	e.mu.Unlock()
	n.send()
}
