package daemon

import (
	"fmt"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/daemon/ledger"

	"github.com/hashicorp/go-hclog"
)

// Of several tasks that ran in a worker when it died, any may have killed it. Each
// is a suspect from then on and runs again in a worker that it has to itself, so
// that a further death proves something: two of those end it. These workers are
// started for the purpose, up to as many as the pool has seats and slowly up to
// maxAlone, and end when no suspect waits. So suspects wait for nobody but each
// other, not for long ones either, and nobody waits for them. In a pool of workers
// with one slot each every task is alone anyway.

// maxAlone bounds how many workers for suspects a pool has beyond its seats.
const maxAlone = 8

// suspect notes that r ran in a worker that died, and reports whether r is proven
// to be poison.
func (s *slot) suspect(r *ledger.Record, alone bool, fx *effects.List) bool {
	r.Suspect = true
	if !alone {
		return false
	}
	r.Deaths++
	if r.Deaths < 2 {
		return false
	}
	s.pool.poisoned++
	fx.Log(hclog.Error, "poison: workers die of this task", "task_id", r.Task.ID, "script_path", r.Task.ScriptPath,
		"function", r.Task.Function, "pool", s.pool.config.Name, "exit", s.worker.process.Exit())
	return true
}

// laneOf returns where r waits.
func (p *pool) laneOf(r *ledger.Record) *lane {
	if r.Suspect && p.slots() > 1 {
		return &p.suspects
	}
	return p.laneFor(r.Task)
}

// fillAlone gives suspects to the workers that wait for one, and sees to it that
// there are as many of these as are needed.
func (p *pool) fillAlone(fx *effects.List) {
	q, now := p.engine.queue, p.engine.now()
	for len(p.alone) > 0 && q.Runnable(now, p.suspects.index) {
		w := p.alone[len(p.alone)-1]
		p.alone = p.alone[:len(p.alone)-1]
		p.give(q.Pop(now, p.suspects.index).Value, w.slots[0], balancer.Lease{}, fx)
	}
	if !q.Runnable(now, p.suspects.index) {
		p.dismissIdleLocked()
		return
	}
	needed := min(q.LaneLen(p.suspects.index)+p.busyAlone(), len(p.seats))
	for len(p.isolation) < needed {
		p.isolateLocked()
	}
}

// isolateMoreLocked adds a worker for suspects that have waited since the last time.
func (p *pool) isolateMoreLocked() {
	waits := !p.engine.draining && p.engine.queue.Runnable(p.engine.now(), p.suspects.index)
	if waits && p.waited && len(p.isolation) < len(p.seats)+maxAlone {
		p.isolateLocked()
	}
	p.waited = waits
}

// isolateLocked makes a seat for suspects.
func (p *pool) isolateLocked() {
	spec := p.spec
	spec.ID = fmt.Sprintf("%s-alone-%d", p.config.Name, p.isolated)
	spec.Slots, spec.LoopSlots = 1, 0
	p.isolated++
	s := newSeat(p, spec, -1)
	s.alone = true
	p.isolation = append(p.isolation, s)
	p.engine.supervisors.Go(s.supervise)
}

// dismissIdleLocked lets the seats go that have no suspect.
func (p *pool) dismissIdleLocked() {
	kept := p.isolation[:0]
	for _, s := range p.isolation {
		if s.busyLocked() > 0 {
			kept = append(kept, s)
			continue
		}
		p.partLocked(s)
	}
	clear(p.isolation[len(kept):])
	p.isolation = kept
}

func (p *pool) busyAlone() int {
	n := 0
	for _, s := range p.isolation {
		n += s.busyLocked()
	}
	return n
}

// freeLocked makes the slot of l, in a worker that takes tasks, free again.
func (w *worker) freeLocked(n *lane, l balancer.Lease) {
	if w.seat.alone {
		w.seat.pool.alone = append(w.seat.pool.alone, w)
		return
	}
	n.balancer.Release(l, w.seat.pool.engine.now())
}

// closeAloneLocked gives w no more suspects.
func (p *pool) closeAloneLocked(w *worker) {
	for i, other := range p.alone {
		if other == w {
			p.alone = append(p.alone[:i], p.alone[i+1:]...)
			return
		}
	}
}

// faultless tells whether w's death says nothing of the seat: it had a suspect.
func (w *worker) faultless(state lifecycle.State) bool {
	return !state.BlamesTasks() || w.seat.alone && w.slots[0].seq > 0
}
