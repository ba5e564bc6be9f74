package fleet

import (
	"context"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// A worker leaves its seat in one of two ways. A worker that drains is sound: its tasks
// may take the time that they need. A fenced worker has a task that does not stop, or is unfit; its
// other tasks, the neighbours, have until limits.fence_timeout. Either takes no more
// tasks, gets a successor, and is ended as soon as no task is left in it.

// stopTimeout is how long a worker without tasks may take to end by itself.
const stopTimeout = 5 * time.Second

// drain lets the worker's tasks end, then ends the worker.
func (w *Worker) drain(why string, fx *effects.List) { w.leave(lifecycle.Draining, why, fx) }

// fence is drain for a worker that is of no use any more.
func (w *Worker) fence(why string, fx *effects.List) {
	if !w.leave(lifecycle.Fenced, why, fx) {
		return
	}
	f := w.pool.fleet
	w.patience = time.AfterFunc(f.Limits.FenceTimeout, func() { f.do(w.outOfPatience) })
	w.settle(fx)
}

// leave moves the worker out of its seat; false when it is further on its way already.
func (w *Worker) leave(to lifecycle.State, why string, fx *effects.List) bool {
	from, err := w.state.Advance(to)
	if err != nil {
		return false
	}
	w.why = why
	w.close()
	if from == lifecycle.Ready {
		s := w.seat
		s.leaving = append(s.leaving, w)
		if s.worker == w { // else its successor is there already
			s.vacate(s.left(w))
		}
	}
	w.takeBack(fx)
	fx.Log(hclog.Info, "worker leaves", "worker", w.spec.ID, "pid", w.process.PID(), "state", to.String(), "reason", why, "tasks", w.busy())
	w.settle(fx)
	return true
}

// left notes that w leaves, and says how long to wait for the next. Workers that become
// unfit one after the other are started ever more slowly, like those that die.
func (s *Seat) left(w *Worker) (wait time.Duration) {
	if w.isUnfit {
		return s.deaths.Died(unfitness+w.unfitFor, nil)
	}
	s.deaths.Ended()
	return 0
}

// takeBack takes those tasks from a leaving worker that it has not begun.
func (w *Worker) takeBack(fx *effects.List) {
	freed := false
	for _, s := range w.slots {
		freed = s.recallWaiting(fx) || freed
	}
	if freed {
		w.pool.fleet.Owner.Room(w.pool, fx) // another worker may have a free slot
	}
}

// settle ends a leaving worker that no task is left in which may end by itself.
func (w *Worker) settle(fx *effects.List) {
	state := w.state.Load()
	if state != lifecycle.Draining && state != lifecycle.Fenced || w.pending() {
		return
	}
	_, _ = w.state.Advance(lifecycle.Stopping) // the table has it
	process := w.process
	if state == lifecycle.Fenced {
		fx.Process(process.Kill)
		return
	}
	fx.Process(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		process.Stop(ctx)
	})
}

// outOfPatience ends a fenced worker whose neighbours have not ended in time: those that
// may run twice run again elsewhere. One that may not has until its own deadline.
func (w *Worker) outOfPatience(fx *effects.List) {
	if w.state.Load() != lifecycle.Fenced {
		return
	}
	if more := w.lastDeadline() - w.pool.fleet.Elapsed(); more > 0 {
		w.patience.Reset(more)
		return
	}
	_, _ = w.state.Advance(lifecycle.Stopping)
	fx.Process(w.process.Kill)
}

// lastDeadline is the last deadline, grace included, of the tasks that must not run
// twice, by Fleet.Elapsed.
func (w *Worker) lastDeadline() (last time.Duration) {
	for _, s := range w.slots {
		for _, pl := range s.places {
			if t := pl.hold.Info(); pl.hold.Runs() && t.Extras().OnWorkerLost == task.Fail && t.Timeout > 0 {
				last = max(last, task.Sum(pl.began, task.Sum(time.Duration(t.Timeout), w.pool.fleet.Limits.CancelGrace)))
			}
		}
	}
	return last
}
