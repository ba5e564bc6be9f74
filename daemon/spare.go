package daemon

import (
	"fmt"
	"reflect"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/plugins/supervisor"
)

// A spare is a worker that is ready and takes no tasks, pool.spare of them. When a
// seat loses its worker, the spare gets the seat, and its threads the seat's CPUs,
// in less time than a process takes to start; another spare is started then.

// newSpare makes the seat of the spare with number i. Its worker waits on the CPUs
// of seat i.
func (p *pool) newSpare(i int) *seat {
	spec, core := p.spareSpec(i)
	s := newSeat(p, spec, core)
	s.standby = true
	return s
}

func (p *plan) spareSpec(i int) (spec supervisor.Spec, core int) {
	spec, core = p.post(i)
	spec.ID = fmt.Sprintf("%s-spare-%d", p.config.Name, i)
	return spec, core
}

// resizeSparesLocked gives the pool as many spares as it should have.
func (p *pool) resizeSparesLocked() {
	for len(p.spares) < p.config.Spare {
		s := p.newSpare(len(p.spares))
		p.spares = append(p.spares, s)
		p.engine.supervisors.Go(s.supervise)
	}
	for len(p.spares) > p.config.Spare {
		last := p.spares[len(p.spares)-1]
		p.spares = p.spares[:len(p.spares)-1]
		p.partLocked(last)
	}
}

// takeSpare fills the seat with a spare; false when there is none.
func (s *seat) takeSpare() bool {
	e := s.pool.engine
	var w *worker
	e.do(func(*effects.List) { w = s.pool.unseatLocked(s) })
	if w == nil {
		return false
	}
	began := e.elapsed()
	if err := w.process.Pin(s.spec.CPUs); err != nil {
		e.log.Error("a spare can't be used", "worker", s.spec.ID, "error", err)
		w.process.Kill()
		return false
	}
	s.take(w, "")
	e.log.Info("a spare took the seat", "worker", s.spec.ID, "pid", w.process.PID(), "took", (e.elapsed() - began).String())
	return true
}

// unseatLocked makes a ready spare the seat's worker-to-be. Its old self is dead to
// whoever knows it, and makes room for another spare.
func (p *pool) unseatLocked(s *seat) *worker {
	if s.alone || s.standby {
		return nil
	}
	for _, from := range p.spares {
		old := from.worker
		if old == nil || old.state.Load() != lifecycle.Ready || !interchangeable(old.spec, s.spec) {
			continue
		}
		w := &worker{seat: s, spec: s.spec, core: s.core, process: old.process, slots: old.slots, left: make(chan struct{})}
		for _, sl := range w.slots {
			sl.worker = w
		}
		old.slots = nil
		_, _ = old.state.Advance(lifecycle.Dead) // the table has it
		from.deaths.Ended()
		close(old.left)
		return w
	}
	return nil
}

// interchangeable tells whether two workers differ in nothing but name and place.
func interchangeable(a, b supervisor.Spec) bool {
	a.ID, a.CPUs = b.ID, make([]int, len(a.CPUs))
	b.CPUs = make([]int, len(b.CPUs)) // how many there are is in the environment
	return reflect.DeepEqual(a, b)
}
