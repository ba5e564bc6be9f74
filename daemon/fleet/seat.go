package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/plugins/supervisor"
)

// kind is what the workers of a seat are for.
type kind uint8

const (
	// regular: they take any task.
	regular kind = iota
	// standby: they take no tasks but other seats, see spare.go.
	standby
	// alone: they run one suspect at a time, see isolate.go.
	alone
	// relieving: they take the tasks of callers with less than their part, see relief.go.
	relieving
	// trying: they run a new program, and controlling the old one beside it, see trial.go.
	trying
	controlling
)

// leased reports whether tasks come there by a lease of a lane.
func (k kind) leased() bool { return k == regular || k == relieving }

// Seat is a place for a worker, which is filled again when that dies or has to go.
// Its runner alone puts a worker into it.
type Seat struct {
	pool *Pool
	spec supervisor.Spec
	core int // that its workers are pinned to; -1: none
	kind kind
	// life ends with the fleet's, or when the seat is dismissed.
	life    context.Context
	dismiss context.CancelFunc
	orders  chan order

	// worker was the last to take tasks here; nil before the first, and when it has
	// moved to another seat.
	worker *Worker
	// vacant is closed once the worker takes no more tasks: the seat needs another one,
	// after this wait. Each worker has a new one; the runner alone makes it.
	vacant chan struct{}
	wait   time.Duration
	// crowded: it gets no other worker until one of leaving has ended.
	crowded bool
	// leaving are its predecessors that have not ended.
	leaving    []*Worker
	deaths     *lifecycle.Restarts
	workersHad int
	// used is when a task left it last, in a seat for relief.
	used time.Duration
}

// order asks for a successor of the seat's worker, in a process as spec says. The
// worker stays until the successor is ready.
type order struct {
	spec supervisor.Spec
	core int
	// of is the worker to replace; nil: whichever is there.
	of  *Worker
	why string
	// ready, if not nil, is the successor.
	ready  *Worker
	answer chan<- error // has room
}

func newSeat(p *Pool, k kind, spec supervisor.Spec, core int) *Seat {
	s := &Seat{pool: p, kind: k, spec: spec, core: core, orders: make(chan order, 1)}
	s.life, s.dismiss = context.WithCancel(p.fleet.life)
	s.deaths, _ = lifecycle.NewRestarts(lifecycle.DefaultPolicy(), p.fleet.Elapsed) // that policy makes sense
	return s
}

// seated opens w to tasks; its predecessor, if it is still there, drains. It returns
// false if the process has ended on its way here: then the seat is vacant again.
func (s *Seat) seated(w *Worker, why string, fx *effects.List) bool {
	old := s.worker
	s.workersHad++
	s.worker, s.vacant, s.wait, s.crowded = w, make(chan struct{}), 0, false
	w.seat, w.moving = s, false
	s.deaths.Born()
	w.open()
	if old != nil {
		old.drain(why, fx)
		if old.state.Load() != lifecycle.Dead && !slices.Contains(s.leaving, old) {
			s.leaving = append(s.leaving, old) // Stop ends it where it is
		}
	}
	if w.orphaned {
		w.died(fx)
		return false
	}
	s.pool.fleet.Owner.Room(s.pool, fx)
	return true
}

// mostLeaving is how many predecessors that have not ended a worker can have. Each may
// keep tasks that must not be run twice for as long as these take, and who has its workers
// fenced again and again must not fill the machine with them.
const mostLeaving = 4

// vacate makes the runner put another worker into the seat, after a wait.
func (s *Seat) vacate(wait time.Duration) {
	s.wait = wait
	if s.crowded = len(s.leaving) >= mostLeaving; !s.crowded {
		close(s.vacant)
	}
}

// restarts counts the workers after the first.
func (s *Seat) restarts() int { return max(0, s.workersHad-1) }

// successor is the order for a worker like the one that is there.
func (s *Seat) successor(why string) (order, <-chan error) {
	answer := make(chan error, 1)
	return order{spec: s.spec, core: s.core, of: s.worker, why: why, answer: answer}, answer
}

// become changes how the seat's next workers run.
func (s *Seat) become(o order) { s.spec, s.core = o.spec, o.core }

// gone is the error for a seat that was dismissed.
func (s *Seat) gone() error {
	if s.pool.fleet.life.Err() != nil {
		return api.ErrDraining
	}
	return fmt.Errorf("%w: %s: its seat is no longer needed", api.ErrNoWorker, s.pool.Name())
}

// lost notes that w has died, in state.
func (s *Seat) lost(w *Worker, state lifecycle.State) {
	if state.BlamesTasks() && s.kind != trying {
		s.pool.deaths++
	}
	if i := slices.Index(s.leaving, w); i >= 0 {
		s.leaving = slices.Delete(s.leaving, i, i+1)
		if s.crowded {
			s.vacate(s.wait)
		}
		s.departed()
		return
	}
	if w.faultless(state) {
		s.deaths.Ended()
		s.vacate(0)
	} else {
		s.vacate(s.deaths.Died(w.ending(), w.stderr))
	}
	s.departed()
}

// departed forgets a dismissed seat without a process.
func (s *Seat) departed() {
	if s.life.Err() != nil && len(s.workers()) == 0 {
		delete(s.pool.departing, s)
	}
}

// workers returns those that live here, the one that takes tasks first.
func (s *Seat) workers() []*Worker {
	var all []*Worker
	if w := s.worker; w != nil && w.state.Load() != lifecycle.Dead && !slices.Contains(s.leaving, w) {
		all = append(all, w)
	}
	return append(all, s.leaving...)
}

// busy counts the slots that have a task.
func (s *Seat) busy() int {
	n := 0
	for _, w := range s.workers() {
		n += w.busy()
	}
	return n
}

// state is that of the worker that takes tasks, or of the attempt to have one.
func (s *Seat) state() lifecycle.State {
	switch w := s.worker; {
	case w == nil || slices.Contains(s.leaving, w):
		return lifecycle.Starting
	default:
		return w.state.Load()
	}
}
