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
		p.spares = append(p.spares, p.furnish(standby, spec, core, fx))
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
	r.do(func(*effects.List) { w = r.pool.moveSpare(r.Seat) })
	if w == nil {
		return false
	}
	if err := w.process.Pin(r.spec.CPUs); err != nil {
		f.Log.Error("a spare can't be used", "worker", r.spec.ID, "error", err)
		w.process.Kill()
		return false
	}
	if !r.take(w, "") {
		return true // and is vacant again
	}
	r.do(func(fx *effects.List) {
		fx.Log(hclog.Info, "a spare took the seat", "worker", r.spec.ID, "pid", w.process.PID(), "took", (f.Elapsed() - began).String())
	})
	return true
}

// moveSpare takes a ready spare out of its seat, on its way to s; nil: there is none.
// Another spare is started then.
func (p *Pool) moveSpare(s *Seat) *Worker {
	if !s.kind.leased() {
		return nil
	}
	for _, from := range p.spares {
		w := from.worker
		if w == nil || w.state.Load() != lifecycle.Ready || !interchangeable(w.spec, s.spec) {
			continue
		}
		from.worker = nil
		from.deaths.Ended()
		from.vacate(0)
		w.moving, w.spec, w.core = true, s.spec, s.core
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
