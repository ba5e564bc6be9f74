package fleet

import (
	"slices"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// Worker is one process, from its start to its end. A seat can have several: one that
// takes tasks, and predecessors whose tasks are still running.
type Worker struct {
	pool *Pool
	// seat is where it is. A spare moves to another one, see spare.go.
	seat *Seat
	// moving: it has left one seat and is not in the next one yet. orphaned: its process
	// ended meanwhile.
	moving, orphaned bool
	watched          bool            // it has its watcher
	spec             supervisor.Spec // as which it runs
	core             int             // that it is pinned to; -1: none
	state            lifecycle.Machine
	// process is nil until it has started.
	process Process
	// described is what its executor can do, once it has started.
	described plugins.Description
	slots     []*Slot
	// threads and loops are its entries in the pool's lanes, nil unless it takes
	// tasks.
	threads, loops *balancer.Worker
	born           time.Duration // by Fleet.Elapsed
	tasks          int           // that have ended here
	why            string        // it leaves
	hung           bool          // it did not answer, see watch.go
	unread         int           // of its connections wait for room
	isUnfit        bool          // see unfit.go, as the next three
	unfitFor       string        // why, if the daemon knows
	faults         holders       // whose the attempts in a row were that the executor failed
	runs           []ran         // the last that ended here
	// exit is how the process ended and stderr what it wrote last, once it has.
	exit   string
	broken string // which connection ended first, and how; "": none has
	breach string // that, if it was for what it said; "": it was not
	stderr []string
	// patience ends a fenced worker whose neighbours take too long.
	patience *time.Timer
	// recycleFrom is from when on it may be given a successor, see recycle.go.
	recycleFrom time.Duration
}

func newWorker(s *Seat, spec supervisor.Spec, core int) *Worker {
	w := &Worker{pool: s.pool, seat: s, spec: spec, core: core}
	w.slots = make([]*Slot, spec.Slots+spec.LoopSlots)
	for i := range w.slots {
		w.slots[i] = &Slot{pool: s.pool, worker: w, index: i, lost: make(chan struct{})}
	}
	return w
}

// attach gives the worker its process, whose slots are open and whose executor is d.
func (w *Worker) attach(p Process, d plugins.Description, fx *effects.List) {
	w.process, w.described = p, d
	if w.broken != "" {
		fx.Process(p.Kill)
	}
	for i, s := range w.slots {
		s.process, s.conn = p, p.Slot(i)
		s.where = &task.Worker{ID: w.spec.ID, Executor: w.pool.config.Executor, Pool: w.pool.Name(), PID: p.PID(), Core: w.core, Slot: i}
	}
}

// open lets the worker take tasks.
func (w *Worker) open() {
	_, _ = w.state.Advance(lifecycle.Ready) // an error: it is, as a spare
	w.born = w.pool.fleet.Elapsed()
	if w.seat.kind != trying {
		w.pool.described = w.described
	}
	switch p := w.pool; w.seat.kind {
	case standby:
	case alone:
		p.isolation.idle = append(p.isolation.idle, w)
	default:
		threads, loops := p.lanesOf(w.seat.kind)
		w.threads, w.loops = threads.open(w), loops.open(w)
	}
}

// close lets it take no more.
func (w *Worker) close() {
	threads, loops := w.pool.lanesOf(w.seat.kind)
	threads.close(w.threads)
	loops.close(w.loops)
	w.threads, w.loops = nil, nil
	w.pool.isolation.close(w)
}

// died deals with what a process that has ended leaves behind.
func (w *Worker) died(fx *effects.List) {
	if w.moving {
		w.orphaned = true // it has no task; its next seat sees to it
		return
	}
	state, _ := w.state.Advance(lifecycle.Dead) // every state that it can be in has the move
	w.close()
	if w.patience != nil {
		w.patience.Stop()
	}
	if state.BlamesTasks() && w.pool.fleet.life.Err() == nil {
		w.failedTrial("died: "+w.exit, fx)
	}
	w.abandon(state, fx)
	w.seat.lost(w, state)
	w.pool.fleet.Owner.Room(w.pool, fx) // what was requeued may run on another worker
	if state.BlamesTasks() && w.pool.fleet.life.Err() == nil {
		fx.Log(hclog.Error, "worker died", "worker", w.spec.ID, "pid", w.process.PID(),
			"exit", w.exit, "connection", w.broken, "executor", w.spec.Executor, "command", w.spec.Command, "stderr", w.stderr)
	}
}

// abandon gives the tasks back of a worker that died in state.
func (w *Worker) abandon(state lifecycle.State, fx *effects.List) {
	var running holders
	sent := 0
	for _, s := range w.slots {
		for _, pl := range s.places {
			if pl.mayRun() {
				pl.started(0, fx)
			}
			if pl.Sent() {
				sent++
			}
			if pl.ranLast() {
				running.add(pl.hold.Caller(), 1)
			}
		}
	}
	// Which of several ran, scripts in the worker can have written: that makes suspects, but
	// proves nothing.
	d := Death{Blame: (state.BlamesTasks() || w.hung) && w.seat.kind != trying, Alone: running.total == 1 && sent == 1, Worker: w.spec.ID, Exit: w.ending()}
	if d.Blame {
		w.pool.relief.blame(&running, w.pool.fleet.Elapsed())
	}
	for _, s := range w.slots {
		s.tellFaults(fx)
		s.abandon(d, fx)
	}
}

// busy counts the slots that have a task.
func (w *Worker) busy() int {
	n := 0
	for _, s := range w.slots {
		if s.held {
			n++
		}
	}
	return n
}

// pending reports whether any of its tasks may still end by itself.
func (w *Worker) pending() bool {
	return slices.ContainsFunc(w.slots, func(s *Slot) bool {
		return slices.ContainsFunc(s.places, func(pl *Place) bool { return pl.overdue == 0 })
	})
}

// faultless reports whether its death says nothing about the seat, because it was asked
// for or a suspect was in it.
func (w *Worker) faultless(state lifecycle.State) bool {
	return !state.BlamesTasks() || w.seat.kind == alone && w.slots[0].seq > 0
}
