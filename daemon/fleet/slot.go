package fleet

import (
	"context"
	"fmt"
	"math"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/internal/share"
	"cpulb/plugins"
)

// Slot is the daemon's end of one thread of a worker, or of one place on its loop. It
// lives as long as its worker, and has one task at a time.
type Slot struct {
	pool   *Pool
	worker *Worker
	index  int
	// process and conn are set before the slot gets its first task, and do not change.
	process Process
	conn    Conn
	lost    chan struct{}
	hold    Hold // nil: it has no task
	// sent: the worker has been sent hold, or is about to be. Until then nothing of it can
	// run, and no time of it passes.
	sent bool
	// overdue is why hold was to stop, which it did not within its grace; 0: it was not.
	// Its worker is fenced, and the slot keeps it until it has stopped after all, or its
	// process has ended.
	overdue plugins.StopReason
	began   time.Duration // by Fleet.Elapsed, of a hold that runs
	lease   balancer.Lease
	lane    *Lane // of lease; nil in a worker for suspects
	seq     uint64
	guard   *time.Timer // ends a worker whose task does not stop in time
	probing probe       // instead of a hold, see unfit.go
}

// Give makes h the slot's task, which Launch sends. It returns the place and the task's
// number there.
func (s *Slot) Give(h Hold) (where task.Worker, seq uint64) {
	s.seq++
	s.hold, s.sent = h, false
	s.count(1)
	w := s.worker
	return task.Worker{ID: w.spec.ID, Executor: s.pool.config.Executor, Pool: s.pool.Name(),
		PID: s.process.PID(), Core: w.core, Slot: s.index}, s.seq
}

// count adds n to the slots that the task's caller holds.
func (s *Slot) count(n int) {
	caller := s.hold.Caller()
	if s.lane == nil {
		s.pool.isolation.held.add(caller, n)
		return
	}
	s.lane.held.add(caller, n)
	s.lane.class.add(caller, n)
	s.pool.relief.noteTurn(caller)
}

// Sent reports whether the slot's task has been launched.
func (s *Slot) Sent() bool { return s.sent }

// Launch sends t, which is the slot's task. Its timeout begins.
func (s *Slot) Launch(t *plugins.Task, fx *effects.List) {
	s.sent = true
	if timeout := time.Duration(s.hold.Info().Timeout); timeout > 0 {
		s.guardAfter(task.Sum(timeout, s.pool.fleet.Limits.CancelGrace), plugins.StopTimedOut)
	}
	fx.Frame(s, t)
}

// GiveUp frees the slot of a task that has not been launched.
func (s *Slot) GiveUp(fx *effects.List) { s.release(fx) }

// Send implements effects.Sender; it runs without the lock. A worker with a slot that
// can't be written to is of no use: it is ended, and its watcher sees to the tasks once
// everything that the worker had written has been read.
func (s *Slot) Send(tasks ...*plugins.Task) {
	if err := s.conn.Send(tasks...); err != nil {
		go s.process.Kill()
	}
}

// Stop asks the worker to end the slot's task, and gives it a grace. A task that was
// recalled unread is Returned as Stopped; every other way ends with its Result.
func (s *Slot) Stop(reason plugins.StopReason, fx *effects.List) {
	grace := s.pool.fleet.Limits.CancelGrace
	s.guardAfter(grace, reason)
	seq := s.seq
	fx.Process(func() { handler{s}.cancel(seq, reason, grace) })
}

// Disarm stops the guard: the task has left the slot.
func (s *Slot) Disarm() {
	if s.guard != nil {
		s.guard.Stop()
	}
}

// timeLeft is what is left of the task's timeout and its grace. It begins when the task
// does: a worker that stands still has not begun what it was sent, and is not fenced for
// its sake, see watch.go.
func (s *Slot) timeLeft() time.Duration {
	all := task.Sum(time.Duration(s.hold.Info().Timeout), s.pool.fleet.Limits.CancelGrace)
	if !s.hold.Runs() {
		return all
	}
	return all - (s.pool.fleet.Elapsed() - s.began)
}

// guardAfter arms the last rung: after d the slot's worker is fenced if it still has the
// task.
func (s *Slot) guardAfter(d time.Duration, reason plugins.StopReason) {
	s.Disarm()
	seq := s.seq
	s.guard = time.AfterFunc(d, func() { handler{s}.overdue(seq, reason) })
}

// clear takes the task out of the slot, whose lease goes on.
func (s *Slot) clear() Hold {
	h := s.hold
	if h != nil {
		s.count(-1)
		s.worker.seat.used = s.pool.fleet.Elapsed()
	}
	s.hold, s.sent, s.overdue = nil, false, 0
	s.Disarm()
	return h
}

// release frees the slot, and finds work for it.
func (s *Slot) release(fx *effects.List) {
	s.clear()
	w := s.worker
	if w.state.Load().TakesTasks() {
		if s.lane == nil {
			s.pool.isolation.idle = append(s.pool.isolation.idle, w)
		} else {
			s.lane.balancer.Release(s.lease, s.pool.fleet.now())
		}
	}
	w.settle(fx)
	s.pool.fleet.Owner.Room(s.pool, fx)
}

// abandon gives back the task of a slot whose process is dead.
func (s *Slot) abandon(d Death, fx *effects.List) {
	if h := s.clear(); h != nil {
		s.pool.fleet.Owner.Lost(h, d, s.pool, fx)
	}
}

// handler is the slot for its connection's reader and for those who ask its worker. It
// runs without the lock.
type handler struct{ *Slot }

// with calls f with the task that seq means, unless the slot has it no more.
func (s handler) with(seq uint64, f func(owner Owner, h Hold, fx *effects.List)) {
	fleet := s.pool.fleet
	fleet.do(func(fx *effects.List) {
		if s.hold != nil && s.seq == seq {
			f(fleet.Owner, s.hold, fx)
		}
	})
}

// Started implements plugins.Handler.
func (s handler) Started(seq uint64) {
	s.with(seq, func(owner Owner, h Hold, fx *effects.List) {
		s.began = s.pool.fleet.Elapsed()
		owner.Started(h, fx)
	})
}

// Partial implements plugins.Handler.
func (s handler) Partial(seq, _ uint64, value []byte) {
	s.event(seq, &task.Event{Kind: task.EventPartial, Value: value})
}

// Progress implements plugins.Handler.
func (s handler) Progress(seq uint64, fraction float64, message string) {
	s.event(seq, &task.Event{Kind: task.EventProgress, Fraction: &fraction, Message: message})
}

// Log implements plugins.Handler.
func (s handler) Log(seq uint64, level, message string) {
	s.event(seq, &task.Event{Kind: task.EventLog, Level: level, Message: message})
}

func (s handler) event(seq uint64, ev *task.Event) {
	s.with(seq, func(owner Owner, h Hold, fx *effects.List) { owner.Event(h, ev, fx) })
}

// Ended implements plugins.Handler: the slot is free again, and gets its next task in
// the same operation, so that it idles as little as it can.
func (s handler) Ended(seq uint64, o plugins.Outcome) {
	s.pool.fleet.do(func(fx *effects.List) {
		switch {
		case s.seq != seq:
		case s.probing.isAsked():
			s.probed(o.Status == task.Completed && !o.Spent, fx)
		case s.hold == nil:
		case o.Fault != plugins.NoFault:
			s.faulted(o, fx)
		default:
			s.ended(o, fx)
		}
	})
}

func (s *Slot) ended(o plugins.Outcome, fx *effects.List) {
	w, h := s.worker, s.hold
	s.pool.fleet.Owner.Ended(s.hold, o, fx)
	s.pool.observe(h.Info(), o.RunTime)
	w.faults = 0
	w.noteRun(h)
	w.countTask()
	if o.Spent {
		w.unfit(h, fx)
	}
	s.release(fx)
}

// Skipped implements plugins.Handler: the task waits for another worker, as this
// one drains, or for a thread.
func (s handler) Skipped(seq uint64, needsThread bool) {
	s.with(seq, func(owner Owner, h Hold, fx *effects.List) {
		if needsThread {
			s.pool.refused(h.Info())
			owner.Returned(h, NeedsThread, fx)
			s.release(fx)
			return
		}
		s.clear()
		owner.Returned(h, Skipped, fx)
		s.worker.settle(fx)
		owner.Room(s.pool, fx) // another worker may have a free slot
	})
}

// Lost implements plugins.Handler. A worker without one of its slots is of no
// use; its end is its watcher's to deal with.
func (s handler) Lost(error) {
	s.pool.fleet.do(func(fx *effects.List) {
		close(s.lost)
		if s.process != nil { // else it is still being started
			fx.Process(s.process.Kill)
		}
	})
}

// Room implements plugins.Handler: the room is the caller's whose task the slot has. While
// the daemon does not read, no task of the worker can have stopped too late.
func (s handler) Room(n int64) plugins.Room {
	f := s.pool.fleet
	caller := share.Caller{UID: noCaller}
	f.do(func(*effects.List) { caller.UID = s.worker.sender(s.Slot) })
	if !f.Arriving.Take(caller, n) {
		f.do(func(*effects.List) { s.worker.unread++ })
		if f.Arriving.Wait(f.patient, caller, n) != nil { // all ends, or there is less room than there was
			f.Arriving.Force(caller, n)
		}
		f.do(func(*effects.List) { s.worker.unread-- })
	}
	return room{f.Arriving, caller.UID}
}

// noCaller is who has what comes from a worker without a task: no user has this uid.
const noCaller = math.MaxUint32

// sender returns the caller of the task in s, or of another one, as what all the slots of
// a loop send comes by the first.
func (w *Worker) sender(s *Slot) uint32 {
	if s.hold != nil {
		return s.hold.Caller()
	}
	for _, s := range w.slots {
		if s.hold != nil {
			return s.hold.Caller()
		}
	}
	return noCaller
}

// room implements plugins.Room.
type room struct {
	pool *share.Pool
	uid  uint32
}

// Give implements plugins.Room.
func (r room) Give(n int64) { r.pool.Give(r.uid, n) }

// cancel asks the worker to stop a task that it has been sent.
func (s handler) cancel(seq uint64, reason plugins.StopReason, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	claim, err := s.process.Cancel(ctx, s.index, seq, reason)
	if err != nil || claim != plugins.Recalled {
		return // claimed: its Result comes; an error: the guard or the worker's end does
	}
	s.giveBack(seq, Stopped)
}

// recall takes a task back that the leaving worker may not have begun.
func (s handler) recall(seq uint64, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if claim, err := s.process.Recall(ctx, s.index, seq); err == nil && claim == plugins.Recalled { // else as in cancel
		s.giveBack(seq, Recalled)
	}
}

func (s handler) giveBack(seq uint64, why Return) {
	s.with(seq, func(owner Owner, h Hold, fx *effects.List) {
		owner.Returned(h, why, fx)
		s.release(fx)
	})
}

// overdue is called when a task did not stop within its grace: its worker is fenced. The
// task is in it until then, whatever its caller has been told.
func (s handler) overdue(seq uint64, reason plugins.StopReason) {
	s.with(seq, func(owner Owner, h Hold, fx *effects.List) {
		if more := s.timeLeft(); more > 0 && reason == plugins.StopTimedOut {
			s.guardAfter(more, reason)
			return
		}
		if s.worker.unread > 0 { // its end may be what has no room
			s.guardAfter(max(s.pool.fleet.Limits.CancelGrace, leastPatience), reason)
			return
		}
		s.Slot.overdue = reason
		owner.Overdue(h, reason, fx)
		w := s.worker
		w.fence(fmt.Sprintf("task %s (%s) did not stop", h.Info().ID, h.Info().ScriptPath), fx)
		w.settle(fx) // it may have been fenced before, and this was the last task in it
		owner.Room(s.pool, fx)
	})
}
