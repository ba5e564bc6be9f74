package fleet

import (
	"fmt"
	"reflect"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// A spare is a worker that is ready and takes no tasks, pool.spare of them. When a
// seat loses its worker, the spare gets the seat, and its threads the seat's CPUs,
// in less time than a process takes to start; another spare is started then.

// spareSpec is how the spare with number i is to run: it waits on the CPUs of seat i.
func (l *Layout) spareSpec(i int) (spec supervisor.Spec, core int) {
	spec, core = l.post(i)
	spec.ID = fmt.Sprintf("%s-spare-%d", l.config.Name, i)
	return spec, core
}

// resizeSpares gives the pool as many spares as it should have.
func (p *Pool) resizeSpares(fx *effects.List) {
	for len(p.spares) < p.config.Spare {
		spec, core := p.spareSpec(len(p.spares))
		s := newSeat(p, spec, core)
		s.standby = true
		p.spares = append(p.spares, s)
		p.fleet.start(runner{s}.supervise, fx)
	}
	for len(p.spares) > p.config.Spare {
		last := p.spares[len(p.spares)-1]
		p.spares = p.spares[:len(p.spares)-1]
		p.dismiss(last)
	}
}

// takeSpare fills the seat with a spare; false when there is none.
func (r runner) takeSpare() bool {
	f := r.fleet()
	began := f.Elapsed()
	var w *Worker
	r.do(func(*effects.List) { w = r.pool.unseat(r.Seat) })
	if w == nil {
		return false
	}
	if err := w.process.Pin(r.spec.CPUs); err != nil {
		f.Log.Error("a spare can't be used", "worker", r.spec.ID, "error", err)
		w.process.Kill()
		return false
	}
	r.take(w, "")
	r.do(func(fx *effects.List) {
		fx.Log(hclog.Info, "a spare took the seat", "worker", r.spec.ID, "pid", w.process.PID(), "took", (f.Elapsed() - began).String())
	})
	return true
}

// unseat makes a ready spare the seat's worker-to-be. Its old self is dead to whoever
// knows it, and makes room for another spare.
func (p *Pool) unseat(s *Seat) *Worker {
	if s.alone || s.standby {
		return nil
	}
	for _, from := range p.spares {
		old := from.worker
		if old == nil || old.state.Load() != lifecycle.Ready || !interchangeable(old.spec, s.spec) {
			continue
		}
		w := &Worker{seat: s, spec: s.spec, core: s.core, process: old.process, slots: old.slots, left: make(chan struct{})}
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

// interchangeable reports whether two workers differ in nothing but name and place.
func interchangeable(a, b supervisor.Spec) bool {
	a.ID, a.CPUs = b.ID, make([]int, len(a.CPUs))
	b.CPUs = make([]int, len(b.CPUs)) // how many there are is in the environment
	return reflect.DeepEqual(a, b)
}
