package daemon

import (
	"context"
	"fmt"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/daemon/ledger"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// worker is one process behind a seat, from its readiness to its end. A seat can
// have several: one that takes tasks, and predecessors whose tasks are still
// running. Engine.mu guards all that changes.
type worker struct {
	seat  *seat
	spec  supervisor.Spec // as which it was started
	core  int             // that it is pinned to; -1: none
	state lifecycle.Machine
	// process is set before the worker is ready.
	process fleet.Process
	slots   []*slot
	// threads and loops are its entries in the pool's lanes, nil unless it takes
	// tasks.
	threads, loops *balancer.Worker
	born           time.Duration // by Engine.elapsed
	tasks          int           // that have ended here
	// left is closed once it takes no more tasks: its seat needs a successor.
	left chan struct{}
	// wait is how long that successor has to wait.
	wait time.Duration
	why  string // it leaves
	hung bool   // it did not answer, see pulse.go
	// patience ends a fenced worker whose neighbours take too long.
	patience *time.Timer
	// recycleFrom is from when on it may be given a successor, see recycle.go.
	recycleFrom time.Duration
}

// launch starts a process for the seat. Nobody gives it a task until it is seated.
func (s *seat) launch(ctx context.Context, spec supervisor.Spec, core int) (*worker, error) {
	w := &worker{seat: s, spec: spec, core: core, left: make(chan struct{})}
	w.makeSlots()
	process, err := s.pool.engine.launcher.Start(ctx, spec, func(i int) plugins.Handler { return w.slots[i] })
	if err != nil {
		return nil, fmt.Errorf("worker %s: %w", spec.ID, err)
	}
	s.pool.engine.do(func(*effects.List) {
		w.process = process
		for i := range w.slots {
			w.slots[i].conn = process.Slot(i)
		}
	})
	return w, nil
}

// makeSlots makes the daemon's ends of a new worker's slots.
func (w *worker) makeSlots() {
	w.slots = make([]*slot, w.spec.Slots+w.spec.LoopSlots)
	for i := range w.slots {
		w.slots[i] = &slot{pool: w.seat.pool, worker: w, lane: &w.seat.pool.threads, index: i, lost: make(chan struct{})}
		if i >= w.spec.Slots {
			w.slots[i].lane = &w.seat.pool.loops
		}
	}
}

// openLocked lets the worker take tasks.
func (w *worker) openLocked() {
	_ = w.state.Move(lifecycle.Starting, lifecycle.Ready) // nobody else moves it before
	w.born = w.seat.pool.engine.elapsed()
	switch p := w.seat.pool; {
	case w.seat.standby:
	case w.seat.alone:
		p.alone = append(p.alone, w)
	default:
		w.threads, w.loops = p.threads.open(w), p.loops.open(w)
	}
}

// closeLocked lets it take no more.
func (w *worker) closeLocked() {
	p := w.seat.pool
	p.threads.close(w.threads)
	p.loops.close(w.loops)
	w.threads, w.loops = nil, nil
	p.closeAloneLocked(w)
}

// watch returns after the process has been reaped and its tasks have been seen to.
func (w *worker) watch() {
	<-w.process.Done()
	e := w.seat.pool.engine
	var slots []*slot
	e.do(func(*effects.List) { slots = w.slots })
	for _, sl := range slots {
		<-sl.lost // what it had written before its death has been read now
	}
	e.do(func(fx *effects.List) {
		if w.slots == nil {
			return // it was a spare, and has another seat
		}
		state, _ := w.state.Advance(lifecycle.Dead) // every state that it can be in has the move
		w.closeLocked()
		if w.patience != nil {
			w.patience.Stop()
		}
		w.abandon(state, fx)
		w.seat.lostLocked(w, state)
		w.seat.pool.dispatch(fx) // what was requeued may run on another worker
		e.checkIdleLocked()
		if state.BlamesTasks() && e.life.Err() == nil {
			fx.Log(hclog.Error, "worker died", "worker", w.spec.ID, "pid", w.process.PID(), "exit", w.process.Exit(), "stderr", w.process.LastStderr())
		}
	})
}

// abandon deals with the tasks of a worker that died in state.
func (w *worker) abandon(state lifecycle.State, fx *effects.List) {
	running := 0
	for _, sl := range w.slots {
		if r := sl.current; r != nil && sl.stuck == nil && r.Phase() == ledger.Running {
			running++
		}
	}
	for _, sl := range w.slots {
		sl.abandon(state.BlamesTasks() || w.hung, running == 1, fx)
	}
}

// busy counts the slots that have a task which may end.
func (w *worker) busy() int {
	n := 0
	for _, sl := range w.slots {
		if sl.current != nil && sl.stuck == nil {
			n++
		}
	}
	return n
}
