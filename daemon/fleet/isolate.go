package fleet

import (
	"fmt"
	"slices"

	"cpulb/balancer"
	"cpulb/daemon/effects"
)

// Of several tasks that ran in a worker when it died, any may have killed it. Each
// is a suspect from then on and runs again in a worker that it has to itself, so
// that a further death proves something: two of those end it. These workers are
// started for the purpose, up to as many as the pool has seats and slowly up to
// maxAlone more, and end when no suspect waits. So suspects queue only behind other
// suspects, and block nobody. Callers of whom none is in such a worker go first, and get up
// to pool.relief more of them: nobody waits behind another's suspects. In a pool of workers with one slot each every task is
// alone anyway.

// maxAlone bounds how many workers for suspects a pool has beyond its seats.
const maxAlone = 8

// isolation is a pool's workers for suspects.
type isolation struct {
	lane     int // of the owner's queue, in which suspects wait
	held     holders
	seats    []*Seat
	idle     []*Worker // those that may take a suspect
	waited   bool      // some suspect waited when it was last looked at
	made     int       // how many seats there have been
	poisoned int       // tasks of which workers died
}

// Suspects returns the lane of the owner's queue in which suspects wait.
func (p *Pool) Suspects() int { return p.isolation.lane }

// Poison counts a task of which workers die.
func (p *Pool) Poison() { p.isolation.poisoned++ }

// RoomAlone reports whether TakeAlone has a slot: for a suspect of any caller, or only for
// one of a caller of whom none is in such a worker. These go first.
func (p *Pool) RoomAlone() (room, forAll bool) {
	return len(p.isolation.idle) > 0, p.isolation.held.total < len(p.seats)+maxAlone
}

// HasNoneAlone reports whether no suspect of a caller is in a worker for suspects.
func (p *Pool) HasNoneAlone(caller uint32) bool { return p.isolation.held.of[caller] == 0 }

// TakeAlone gives a suspect a place, in a worker that has no other.
func (p *Pool) TakeAlone(h Hold) *Place {
	last := len(p.isolation.idle) - 1
	w := p.isolation.idle[last]
	p.isolation.idle = p.isolation.idle[:last]
	return w.slots[0].takes(h, balancer.Lease{})
}

// Isolate sees to it that there are as many workers for suspects as are needed.
func (p *Pool) Isolate(fx *effects.List) {
	if !p.fleet.Owner.Runnable(p.isolation.lane) {
		p.dismissIdle()
		return
	}
	busy := 0
	for _, s := range p.isolation.seats {
		busy += s.busy()
	}
	needed := min(p.fleet.Owner.Waiting(p.isolation.lane)+busy, len(p.seats))
	for len(p.isolation.seats) < needed {
		p.isolate(fx)
	}
}

// isolateMore adds a worker for suspects that have waited since the last look.
func (p *Pool) isolateMore(fx *effects.List) {
	owner := p.fleet.Owner
	waits := !owner.Draining() && owner.Runnable(p.isolation.lane)
	most := len(p.seats) + maxAlone
	if waits && owner.RunnableFor(p.isolation.lane, p.HasNoneAlone) {
		most += p.config.Relief
	}
	if waits && p.isolation.waited && len(p.isolation.seats) < most {
		p.isolate(fx)
	}
	p.isolation.waited = waits
}

// isolate makes a seat for suspects.
func (p *Pool) isolate(fx *effects.List) {
	spec := p.spec
	spec.ID = fmt.Sprintf("%s-alone-%d", p.config.Name, p.isolation.made)
	spec.Slots, spec.LoopSlots = 1, 0
	p.isolation.made++
	p.isolation.seats = append(p.isolation.seats, p.furnish(alone, spec, -1, fx))
}

// dismissIdle lets the seats go that have no suspect.
func (p *Pool) dismissIdle() {
	p.isolation.seats = slices.DeleteFunc(p.isolation.seats, func(s *Seat) bool {
		if s.busy() > 0 {
			return false
		}
		p.dismiss(s)
		return true
	})
}

// dismissAlone lets all seats go: their workers are not as the configuration has it.
func (p *Pool) dismissAlone() {
	for _, s := range p.isolation.seats {
		p.dismiss(s)
	}
	p.isolation.seats = nil
}

// close gives w no more suspects.
func (i *isolation) close(w *Worker) {
	if at := slices.Index(i.idle, w); at >= 0 {
		i.idle = slices.Delete(i.idle, at, at+1)
	}
}
