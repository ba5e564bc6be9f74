package fleet

import (
	"slices"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Slot is the daemon's end of one thread of a worker, or of one place on its loop. It
// lives as long as its worker, which runs one task of it after the other.
type Slot struct {
	pool   *Pool
	worker *Worker
	index  int
	// process, conn and where are set before the slot gets its first task, and do not
	// change. where names the slot to clients.
	process Process
	conn    Conn
	where   *task.Worker
	lost    chan struct{}
	lane    *Lane // where its leases are from; nil in a worker for suspects
	// places are those of the tasks that it has: the first runs, or is about to, and the
	// others wait behind it, see balancer.Options.Window.
	places []*Place
	// holder is the caller of the first one, who is counted for the slot; held: there is one.
	holder  uint32
	held    bool
	seq     uint64 // of the last task that it was sent
	line    line
	probing probe  // see unfit.go
	probed  uint64 // seq of the last probe, or check, that it was sent
	// checking is the task that the worker must complete first, see check.go; nil: none.
	checking *check
	// seen is what was seen of it, and seenAt since when, see breach.go.
	seen   sight
	seenAt time.Duration
}

// takes gives the slot one more task.
func (s *Slot) takes(h Hold, l balancer.Lease) *Place {
	pl := &Place{slot: s, hold: h, lease: l, during: s.pool.tryout.of}
	s.places = append(s.places, pl)
	s.recount()
	return pl
}

// recount counts the slot for the caller whose task is the first.
func (s *Slot) recount() {
	was, holder := s.held, s.holder
	if s.held = len(s.places) > 0; s.held {
		s.holder = s.places[0].hold.Caller()
	}
	if was == s.held && holder == s.holder {
		return
	}
	if was {
		s.count(holder, -1)
	}
	if s.held {
		s.count(s.holder, 1)
	}
}

// count adds n to the slots that a caller holds.
func (s *Slot) count(caller uint32, n int) {
	if s.lane == nil {
		s.pool.isolation.held.add(caller, n)
		return
	}
	s.lane.held.add(caller, n)
	s.lane.class.add(caller, n)
	s.pool.relief.noteTurn(caller)
}

// with returns the place of the task that seq means; nil: the slot has it no more.
func (s *Slot) with(seq uint64) *Place {
	for _, pl := range s.places {
		if pl.seq == seq && pl.Sent() {
			return pl
		}
	}
	return nil
}

// placeOf returns the place that has this lease.
func (s *Slot) placeOf(l balancer.Lease) *Place {
	for _, pl := range s.places {
		if pl.lease == l {
			return pl
		}
	}
	return nil
}

// Send implements effects.Sender; it runs without the lock. A worker with a slot that
// can't be written to is of no use: it is ended, and its watcher sees to the tasks once
// everything that the worker had written has been read.
func (s *Slot) Send(tasks ...*plugins.Task) {
	if err := s.line.send(s.conn, tasks); err != nil {
		go s.process.Kill()
	}
}

// giveBack ends a lease, so that others can have it.
func (s *Slot) giveBack(l balancer.Lease) {
	switch w := s.worker; {
	case !w.state.Load().TakesTasks():
	case s.lane == nil:
		s.pool.isolation.idle = append(s.pool.isolation.idle, w)
	default:
		s.lane.balancer.Release(l, s.pool.fleet.now())
	}
}

// freed sees to what follows when a task has left a slot of the worker: that ends if it was
// to and this was its last one, and else there is work for it.
func (w *Worker) freed(fx *effects.List) {
	w.settle(fx)
	w.pool.fleet.Owner.Room(w.pool, fx)
}

// recallWaiting takes those tasks from the slot that it has not begun. It reports whether
// there were any, and freed has to follow.
func (s *Slot) recallWaiting(fx *effects.List) (some bool) {
	for _, pl := range slices.Backward(slices.Clone(s.places)) {
		switch {
		case pl.overdue != 0 || pl.hold.Runs():
		case pl.recall():
			s.pool.fleet.Owner.Returned(pl.release(), Recalled, fx)
			some = true
		case pl.Sent() && !s.conn.Shares():
			pl.askBack(fx)
		}
	}
	return some
}

// abandon gives back the tasks of a slot whose process is dead.
func (s *Slot) abandon(d Death, fx *effects.List) {
	blame, first := d.Blame, true
	for len(s.places) > 0 {
		pl := s.places[0]
		d.Overdue = pl.overdue
		d.Blame = blame && pl.ranLast()
		d.Doubt = blame && !d.Blame && pl.Sent() && (pl.done() || first)
		first = first && pl.done()
		s.pool.fleet.Owner.Lost(pl.leave(), d, s.pool, fx)
	}
}
