package daemon

import (
	"context"
	"slices"
	"sync"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/plugins/supervisor"
)

// seat is a place for a worker, which is filled again when that dies or has to go.
// Engine.mu guards what changes. Only supervise, and start before it, put a worker
// into the seat.
type seat struct {
	pool *pool
	spec supervisor.Spec
	core int // that its workers are pinned to; -1: none
	// alone: its workers run one suspect at a time, see suspects.go.
	alone bool
	// standby: its workers take no tasks but other seats, see spare.go.
	standby bool
	// life ends with the engine's, or when the seat is dismissed.
	life    context.Context
	dismiss context.CancelFunc
	orders  chan order

	// worker was the last to take tasks here; nil before the first.
	worker *worker
	// leaving are its predecessors that have not ended.
	leaving  []*worker
	deaths   *lifecycle.Restarts
	restarts int // workers after the first
}

// order asks for a successor of the seat's worker, in a process as spec says. The
// worker stays until the successor is ready.
type order struct {
	spec supervisor.Spec
	core int
	// of is the worker to replace; nil: whichever is there.
	of  *worker
	why string
	// ready, if not nil, is the successor.
	ready  *worker
	answer chan<- error // has room
}

func newSeat(p *pool, spec supervisor.Spec, core int) *seat {
	s := &seat{pool: p, spec: spec, core: core, orders: make(chan order, 1)}
	s.life, s.dismiss = context.WithCancel(p.engine.life)
	s.deaths, _ = lifecycle.NewRestarts(lifecycle.DefaultPolicy(), p.engine.elapsed) // that policy makes sense
	return s
}

// start fills the seat with a new process and opens it to the balancer.
func (s *seat) start(ctx context.Context) error {
	w, err := s.launch(ctx, s.spec, s.core)
	if err != nil {
		return err
	}
	s.take(w, "")
	return nil
}

// take opens w to tasks; what had the seat leaves it. The engine's supervisors
// wait for w's end.
func (s *seat) take(w *worker, why string) {
	e := s.pool.engine
	e.do(func(fx *effects.List) {
		if s.worker != nil {
			s.restarts++
		}
		old := s.worker
		s.worker = w
		s.deaths.Born()
		w.openLocked()
		if old != nil {
			old.drain(why, fx)
		}
		s.pool.dispatch(fx)
	})
	e.supervisors.Go(w.watch)
	e.supervisors.Go(w.pulse)
	e.log.Info("worker is ready", "worker", w.spec.ID, "pid", w.process.PID(), "cpus", w.process.CPUsAllowed(), "runtime", w.process.Runtime())
	if e.life.Err() != nil {
		w.process.Kill() // stop may have looked before the seat was filled
	}
}

// supervise keeps the seat filled until its life ends.
func (s *seat) supervise() {
	if s.worker == nil {
		s.refill(0)
	}
	for s.life.Err() == nil {
		select {
		case <-s.life.Done():
		case <-s.worker.left:
			s.refill(s.worker.wait)
		case o := <-s.orders:
			o.answer <- s.exchange(o)
		}
	}
	s.leave()
}

// refill fills the empty seat, after a wait, as often as it takes.
func (s *seat) refill(wait time.Duration) {
	for s.life.Err() == nil {
		var asked *order
		select {
		case <-s.life.Done():
			return
		case <-time.After(wait):
		case o := <-s.orders: // whoever asks knows something new
			s.become(o)
			asked = &o
		}
		var err error
		if asked == nil && wait == 0 && s.takeSpare() {
			return
		}
		if asked != nil && asked.ready != nil {
			s.take(asked.ready, "")
		} else {
			err = s.start(s.life)
		}
		if asked != nil {
			asked.answer <- err
		}
		if err == nil {
			return
		}
		wait = s.failed(err)
		if s.life.Err() == nil {
			s.pool.engine.log.Error("worker can't be restarted", "worker", s.spec.ID, "error", err, "next_try_in", wait)
		}
	}
}

// failed notes that the seat could not be filled, and says how long to wait.
func (s *seat) failed(err error) (wait time.Duration) {
	s.pool.engine.do(func(*effects.List) { wait = s.deaths.Died(err.Error(), nil) })
	return wait
}

// exchange puts a successor into the seat, or leaves the worker where it is.
func (s *seat) exchange(o order) error {
	if o.of != nil && o.of != s.worker {
		return nil // it has been replaced meanwhile
	}
	w, err := o.ready, error(nil)
	select {
	case s.pool.turn <- struct{}{}:
		defer func() { <-s.pool.turn }()
	case <-s.worker.left: // nobody notices any more
	case <-s.life.Done(): // which it will find out
	}
	if w == nil {
		w, err = s.launch(s.life, o.spec, o.core)
	}
	if err != nil {
		s.pool.engine.log.Error("worker stays: its successor can't be started", "worker", s.spec.ID, "reason", o.why, "error", err)
		return err
	}
	s.become(o)
	s.take(w, o.why)
	return nil
}

func (s *seat) become(o order) {
	s.pool.engine.do(func(*effects.List) { s.spec, s.core = o.spec, o.core })
}

// leave lets the last worker of a dismissed seat go. What still orders is told.
func (s *seat) leave() {
	e := s.pool.engine
	e.do(func(fx *effects.List) {
		if s.worker != nil && e.life.Err() == nil {
			s.worker.drain("its seat is no longer needed", fx)
		}
		s.departedLocked()
	})
	select {
	case o := <-s.orders:
		if o.ready != nil {
			o.ready.process.Kill()
		}
		o.answer <- context.Cause(s.life)
	default:
	}
}

// lostLocked notes that w has died, in state.
func (s *seat) lostLocked(w *worker, state lifecycle.State) {
	if state.BlamesTasks() {
		s.pool.deaths++
	}
	if i := slices.Index(s.leaving, w); i >= 0 {
		s.leaving = slices.Delete(s.leaving, i, i+1)
		s.departedLocked()
		return
	}
	if w.faultless(state) {
		s.deaths.Ended()
	} else {
		w.wait = s.deaths.Died(w.process.Exit(), w.process.LastStderr())
	}
	close(w.left)
	s.departedLocked()
}

// departedLocked forgets a dismissed seat without a process.
func (s *seat) departedLocked() {
	if s.life.Err() != nil && len(s.workersLocked()) == 0 {
		delete(s.pool.departing, s)
	}
}

// workersLocked returns those that live here, the one that takes tasks first.
func (s *seat) workersLocked() []*worker {
	var all []*worker
	if w := s.worker; w != nil && w.state.Load() != lifecycle.Dead && !slices.Contains(s.leaving, w) {
		all = append(all, w)
	}
	return append(all, s.leaving...)
}

// busyLocked counts the slots that have a task.
func (s *seat) busyLocked() int {
	n := 0
	for _, w := range s.workersLocked() {
		n += w.busy()
	}
	return n
}

// stop ends the seat's processes in order, as far as ctx leaves time.
func (s *seat) stop(ctx context.Context) {
	var workers []*worker
	s.pool.engine.do(func(*effects.List) {
		workers = s.workersLocked()
		for _, w := range workers {
			_, _ = w.state.Advance(lifecycle.Stopping) // an error: it does that already
		}
	})
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() { w.process.Stop(ctx) })
	}
	all.Wait()
}

// stateLocked is that of the worker that takes tasks, or of the attempt to have one.
func (s *seat) stateLocked() lifecycle.State {
	switch w := s.worker; {
	case w == nil || slices.Contains(s.leaving, w):
		return lifecycle.Starting
	default:
		return w.state.Load()
	}
}
