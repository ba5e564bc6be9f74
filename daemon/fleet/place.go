package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Place is a task's place in a slot, from its lease until the task has left.
type Place struct {
	slot *Slot
	hold Hold
	// seq is the task's number there once it has been sent, or is about to be; 0: it has
	// not. Until then nothing of it can run, and no time of it passes.
	seq uint64
	// overdue is why it was to stop, which it did not within its grace; 0: it was not. Its
	// worker is fenced, and the place keeps it until it has stopped after all, or its
	// process has ended.
	overdue plugins.StopReason
	sentAt  time.Duration // by Fleet.Elapsed, as began
	began   time.Duration // of a hold that runs
	// partials is the number of the last one. claimed: the worker has answered that it has
	// begun the task, of which nothing has come yet.
	partials uint64
	claimed  bool
	// printed is how much has come of what it prints, to stdout and to stderr.
	printed [2]int64
	lease   balancer.Lease
	left    bool        // the executor has failed the task, whose owner is told after a probe
	during  *Trial      // its pool had when the task got the place
	guard   *time.Timer // ends a worker whose task does not stop in time
}

// Where names the slot to clients. It must not be changed.
func (pl *Place) Where() *task.Worker { return pl.slot.where }

// AsCaller reports whether the task is to run as who has submitted it.
// A reload changes that with the worker.
func (pl *Place) AsCaller() bool { return pl.slot.worker.spec.Privileged }

// Sent reports whether the task has been launched.
func (pl *Place) Sent() bool { return pl.seq != 0 }

// Launch sends t, which is the task; its number and its slot are filled in. Its timeout
// begins.
func (pl *Place) Launch(t *plugins.Task, fx *effects.List) {
	s := pl.slot
	s.seq++
	pl.seq, pl.sentAt = s.seq, s.pool.fleet.ElapsedLocked()
	t.Slot, t.Seq = s.index, pl.seq
	if timeout := time.Duration(pl.hold.Info().Timeout); timeout > 0 {
		pl.guardAfter(task.Sum(timeout, s.pool.fleet.Limits.CancelGrace), plugins.StopTimedOut)
	}
	fx.Frame(s, t)
}

// Return frees the place of a task that it is not given after all, within the dispatch that
// has taken it.
func (pl *Place) Return() { pl.release() }

// GiveUp frees the place of a task that has not been launched.
func (pl *Place) GiveUp(fx *effects.List) {
	pl.release()
	pl.slot.worker.freed(fx)
}

// Stop asks the worker to end the task, and gives it a grace. One that was recalled unread
// is Returned as Stopped, perhaps at once: then Stop returns true. Every other way ends
// with its Result.
func (pl *Place) Stop(reason plugins.StopReason, fx *effects.List) (back bool) {
	s := pl.slot
	if pl.left {
		return false
	}
	if pl.recall() {
		s.pool.fleet.Owner.Returned(pl.release(), Stopped, fx)
		s.worker.freed(fx)
		return true
	}
	grace, seq := s.pool.fleet.Limits.CancelGrace, pl.seq
	pl.guardAfter(grace, reason)
	fx.Process(func() { asker{s}.cancel(seq, reason, grace) })
	return false
}

// Disarm stops the guard: the task has left the place.
func (pl *Place) Disarm() {
	if pl.guard != nil {
		pl.guard.Stop()
	}
}

// recall takes the task back if the worker has not begun it, and that can be had at once.
func (pl *Place) recall() bool {
	s := pl.slot
	switch {
	case pl.hold.Runs():
		return false
	case !pl.Sent():
		return true
	}
	return s.conn.Shares() && s.conn.Recall(s.index, pl.seq) == plugins.Recalled
}

// askBack has a worker asked for the task that does not share its claims.
func (pl *Place) askBack(fx *effects.List) {
	s, seq, grace := pl.slot, pl.seq, pl.slot.pool.fleet.Limits.CancelGrace
	fx.Process(func() { asker{s}.recall(seq, grace) })
}

// fate is what the worker says that it has done with the task, as far as it shares that.
func (pl *Place) fate() plugins.Fate {
	if !pl.Sent() {
		return plugins.FateOpen
	}
	return pl.slot.conn.Fate(pl.slot.index, pl.seq)
}

// done reports whether the task has run to its end, though its Result has not come.
func (pl *Place) done() bool { return pl.fate() == plugins.FateDone }

// mayRun reports whether the task may have begun, of which its worker may not have told yet.
func (pl *Place) mayRun() bool {
	fate := pl.fate()
	return fate == plugins.FateClaimed || fate == plugins.FateDone || (pl.claimed || pl.hold.Doubted()) && pl.Sent()
}

// ranLast reports whether the task ran when its worker died, whose word that it was done
// counts for less than others' deaths.
func (pl *Place) ranLast() bool {
	return pl.overdue != 0 || pl.hold.Runs() && (pl.hold.Doubted() || !pl.done())
}

// started notes that the task has begun, so long ago.
func (pl *Place) started(ago time.Duration, fx *effects.List) {
	if pl.hold.Runs() {
		return
	}
	f := pl.slot.pool.fleet
	now := f.ElapsedLocked()
	ago = max(0, min(ago, now-pl.sentAt)) // it comes from a process that scripts share
	pl.began = now - ago
	f.Owner.Started(pl.hold, ago, fx)
}

// leave takes the task out of its place, whose lease goes on.
func (pl *Place) leave() Hold {
	s := pl.slot
	pl.Disarm()
	if i := slices.Index(s.places, pl); i >= 0 {
		s.places = slices.Delete(s.places, i, i+1)
	}
	s.recount()
	pl.leftTrial()
	s.worker.seat.used = s.pool.fleet.ElapsedLocked()
	return pl.hold
}

// release is leave, and the end of the lease. freed has to follow.
func (pl *Place) release() Hold {
	h := pl.leave()
	pl.slot.giveBack(pl.lease)
	return h
}

// timeLeft is what is left of the task's timeout and its grace. It begins when the task
// does: a worker that stands still has not begun what it was sent, and is not fenced for
// its sake, see watch.go.
func (pl *Place) timeLeft() time.Duration {
	f := pl.slot.pool.fleet
	all := task.Sum(time.Duration(pl.hold.Info().Timeout), f.Limits.CancelGrace)
	if !pl.hold.Runs() {
		return all
	}
	return all - (f.ElapsedLocked() - pl.began)
}

// guardAfter arms the last rung: after d the slot's worker is fenced if it still has the
// task.
func (pl *Place) guardAfter(d time.Duration, reason plugins.StopReason) {
	pl.Disarm()
	s, seq := pl.slot, pl.seq
	pl.guard = time.AfterFunc(d, func() { asker{s}.overdue(seq, reason) })
}

// overdueFor is called when the task did not stop within its grace: its worker is fenced.
// The task is in it until then, whatever its caller has been told.
func (pl *Place) overdueFor(reason plugins.StopReason, fx *effects.List) {
	s, f := pl.slot, pl.slot.pool.fleet
	if more := pl.timeLeft(); more > 0 && reason == plugins.StopTimedOut {
		pl.guardAfter(more, reason)
		return
	}
	w := s.worker
	if w.unread > 0 { // its end may be what has no room
		pl.guardAfter(max(f.Limits.CancelGrace, leastPatience), reason)
		return
	}
	pl.overdue = reason
	if reason == plugins.StopTimedOut {
		pl.tried(plugins.Outcome{Status: task.TimedOut, RunTime: time.Duration(pl.hold.Info().Timeout)}, fx)
		pl.during = nil // that was its end
	}
	s.pool.relief.blame(&holders{of: map[uint32]int{pl.hold.Caller(): 1}}, f.ElapsedLocked())
	f.Owner.Overdue(pl.hold, reason, fx)
	w.fence(fmt.Sprintf("task %s (%s) did not stop", pl.hold.Info().ID, pl.hold.Info().ScriptPath), fx)
	w.freed(fx) // it may have been fenced before, and this was the last task in it
}

// asker is a slot for those who ask its worker, and for timers. It runs without the lock.
type asker struct{ *Slot }

// with calls f with the place of the task that seq means, unless the slot has it no more.
func (s asker) with(seq uint64, f func(pl *Place, fx *effects.List)) {
	s.pool.fleet.do(func(fx *effects.List) {
		if pl := s.Slot.with(seq); pl != nil {
			f(pl, fx)
		}
	})
}

func (s asker) overdue(seq uint64, reason plugins.StopReason) {
	s.with(seq, func(pl *Place, fx *effects.List) { pl.overdueFor(reason, fx) })
}

// cancel asks the worker to stop a task that it has been sent.
func (s asker) cancel(seq uint64, reason plugins.StopReason, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	claim, err := s.process.Cancel(ctx, s.index, seq, reason)
	s.claimIs(seq, claim, err, Stopped)
}

// recall takes a task back that the leaving worker may not have begun.
func (s asker) recall(seq uint64, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	claim, err := s.process.Recall(ctx, s.index, seq)
	s.claimIs(seq, claim, err, Recalled)
}

// claimIs deals with what a worker says of a task that it was asked to give back or to stop.
// Of one that it has claimed the Result comes; after an error, the guard does, or the worker's
// end. It may say that it has not begun what it has: then that is not run again.
func (s asker) claimIs(seq uint64, claim plugins.Claim, err error, why Return) {
	s.with(seq, func(pl *Place, fx *effects.List) {
		switch {
		case err != nil:
		case claim == plugins.Claimed:
			pl.claimed = true
		case claim != plugins.Recalled:
			s.breakOff(fmt.Errorf("%w: asked for task %d, it answers with claim %d; 1 and 2 are allowed", plugins.ErrContract, seq, claim), fx)
		case pl.hold.Runs():
			s.breakOff(fmt.Errorf("%w: task %d is said to have been recalled, and has begun", plugins.ErrContract, seq), fx)
		default:
			s.pool.fleet.Owner.Returned(pl.release(), why, fx)
			s.worker.freed(fx)
		}
	})
}
