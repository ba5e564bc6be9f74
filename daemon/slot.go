package daemon

import (
	"context"
	"fmt"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// slot is the daemon's end of one thread of a worker, or of one place on its loop; it implements
// plugins.Handler. Engine.mu guards current, lease and seq. A slot lives as long
// as its process.
type slot struct {
	seat  *seat
	lane  *lane
	index int
	// process and conn are set, under Engine.mu, before the slot gets its first
	// task, and do not change.
	process *supervisor.Process
	conn    *plugins.Conn
	lost    chan struct{}
	current *record
	lease   balancer.Lease
	seq     uint64
}

func (s *slot) engine() *Engine { return s.seat.pool.engine }

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
	r.started = time.Now().UnixNano()
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
	n := e.finish(r, o.Status, ended{o.Data, o.Error, o.Stdout, o.Stderr, o.Truncated, o.RunTime, o.CPUTime, o.LockWait})
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
		s.seat.pool.refused(r.task)
		r.attempts-- // nothing of it has run
		s.requeue(r)
		send = s.release()
	} else {
		s.current = nil
		s.requeue(r)
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
	if s.process != nil { // nil: it is still being started
		go s.process.Kill()
	}
}

// release frees the slot and finds work for it. Engine.mu is held.
func (s *slot) release() deliveries {
	s.current = nil
	s.lane.balancer.Release(s.lease)
	s.engine().checkIdle()
	return s.seat.pool.dispatch()
}

// requeue puts a task that did not end back to the front. Engine.mu is held.
func (s *slot) requeue(r *record) {
	if r.guard != nil {
		r.guard.Stop()
	}
	r.slot, r.worker, r.started = nil, nil, 0
	queue, lane := s.engine().queue, s.seat.pool.laneFor(r.task).index
	if r.state.Load() != task.Running {
		queue.Return(time.Now(), r.item, lane)
		return
	}
	_ = s.engine().move(r, task.Queued) // the table has it
	queue.Retry(time.Now(), r.item, lane, time.Time{})
	s.engine().note(r, time.Time{})
}

// abandon deals with the task of a slot whose process is dead. Engine.mu is held.
func (s *slot) abandon(exit string) notices {
	r := s.current
	s.current = nil
	if r == nil || r.slot != s { // it has ended, as when the daemon stops
		return nil
	}
	if r.stopping {
		return s.engine().finish(r, task.Cancelled, cancelled()) // or its cancel would be forgotten
	}
	if r.state.Load() != task.Running || s.seat.blameless || s.engine().stopping {
		s.requeue(r)
		return nil
	}
	r.deaths++
	if r.task.Extras().OnWorkerLost == task.Fail {
		return s.engine().finish(r, task.Failed, failure("WorkerLost", "worker_lost",
			fmt.Sprintf("worker %s died while it ran this task (%s), which must not run twice", s.seat.spec.ID, exit)))
	}
	if r.deaths < 2 {
		s.requeue(r)
		return nil
	}
	return s.engine().finish(r, task.Failed, ended{err: &task.Error{Type: "WorkerLost", Code: "worker_lost",
		Message: fmt.Sprintf("worker %s died while it ran this task (%s), the second time", s.seat.spec.ID, exit)}})
}

// cancel asks the worker to stop a task that it has been sent.
func (s *slot) cancel(r *record, seq uint64, reason plugins.StopReason) {
	ctx, cancel := context.WithTimeout(context.Background(), s.engine().options.Config.Limits.CancelGrace)
	defer cancel()
	claim, err := s.process.Cancel(ctx, s.index, seq, reason)
	if err != nil || claim != plugins.Recalled {
		return // claimed: its Result comes; an error: the guard or the worker's end does
	}
	e := s.engine()
	e.mu.Lock()
	var n notices
	var send deliveries
	if s.of(seq) == r {
		n = e.finish(r, task.Cancelled, cancelled())
		send = s.release()
	}
	e.mu.Unlock()
	send.now()
	n.send()
}

// overdue ends a task that did not stop within its grace, and its worker with
// it. The neighbours run again, without blame.
func (s *slot) overdue(r *record, seq uint64, reason plugins.StopReason) {
	e := s.engine()
	e.mu.Lock()
	if s.of(seq) != r {
		e.mu.Unlock()
		return
	}
	status, end := task.Cancelled, cancelled()
	if reason == plugins.StopTimedOut {
		status = task.TimedOut
		end.err = &task.Error{Type: "TaskTimeout", Code: "timed_out",
			Message: fmt.Sprintf("the task did not stop within its timeout of %s and the grace", time.Duration(r.task.Timeout))}
	}
	n := e.finish(r, status, end)
	s.current = nil
	s.seat.blameless = true
	e.mu.Unlock()
	n.send()
	s.process.Kill()
}
