package fleet

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/internal/share"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// Whoever comes first may have all slots of a pool, for as long as its tasks run: a pool
// of two workers that serves one caller only should use both. Nobody else waits behind
// it: when callers wait who hold less than their part, the pool gets relief, up to
// pool.relief workers beyond its seats, whose slots only such callers may have. A worker
// for relief goes once it has had nothing to do for pool.idle_timeout.
//
// A caller's part is the slots of the seats, divided by the callers that hold any; of
// workers with one slot each it is one. So one caller alone never gets relief, and one that
// holds nothing always may. The slots of all relief together are shared as package share
// does: there is one left for one more caller unless many hold some. A caller whose tasks
// cost workers gets no relief for a while.

const (
	// reliefAfter is how long a caller who has less than its part waits until there is
	// relief.
	reliefAfter = 100 * time.Millisecond
	// reliefLook is how often it is looked at who waits, at most.
	reliefLook = reliefAfter / 2
	// blamedFor is how long a caller gets no relief after its tasks have cost a worker.
	blamedFor = time.Minute
)

// relief is a pool's workers for those who wait behind others.
type relief struct {
	seats          []*Seat
	threads, loops Lane
	// waits has since when callers wait that have less than their part.
	waits map[uint32]time.Duration
	// next is before when it is not looked at again who waits; 0: it may be any time. due
	// is when it has to be, 0: whenever something has changed.
	next, due time.Duration
	// blamed has until when callers get none, because their tasks have cost a worker.
	blamed map[uint32]time.Duration
}

// ReliefThreads and ReliefLoops are the slots of the workers for relief, by class.
func (p *Pool) ReliefThreads() *Lane { return &p.relief.threads }

// ReliefLoops is explained at ReliefThreads.
func (p *Pool) ReliefLoops() *Lane { return &p.relief.loops }

// ReliefDue returns when Relieve has to be called, by Fleet.Elapsed; 0: at no time, but
// after every change.
func (p *Pool) ReliefDue() time.Duration { return p.relief.due }

// lanesOf returns the lanes to which the slots of such a seat belong.
func (p *Pool) lanesOf(k kind) (threads, loops *Lane) {
	switch k {
	case relieving:
		return &p.relief.threads, &p.relief.loops
	case trying:
		return &p.tryout.canaryThreads, &p.tryout.canaryLoops
	case controlling:
		return &p.tryout.controlThreads, &p.tryout.controlLoops
	}
	return &p.threads, &p.loops
}

// Relieved reports whether a caller may have a slot for relief of this lane.
func (p *Pool) Relieved(n *Lane, caller uint32) bool {
	slots := p.spec.Slots
	if n.loop {
		slots = p.spec.LoopSlots
	}
	has := n.class.of[caller]
	switch {
	case p.relief.blamed[caller] > p.fleet.ElapsedLocked(), has > 0 && slots == 1:
		return false
	case has*n.class.with(caller) >= len(p.seats)*slots:
		return false
	}
	return share.Fits(int64(p.config.Relief*slots), int64(n.held.total), int64(n.held.of[caller]), 1, false)
}

// behindOthers reports whether somebody else can be why there is no slot for a caller.
func (p *Pool) behindOthers(n *Lane, caller uint32) bool {
	if n.class.with(caller) > 1 {
		return true
	}
	for other, until := range p.relief.blamed {
		if other != caller && until > p.fleet.ElapsedLocked() {
			return true
		}
	}
	return false
}

// Relieve sees to it that there are the workers for relief that are needed. It is called
// after every dispatch.
func (p *Pool) Relieve(fx *effects.List) {
	r, now := &p.relief, p.fleet.ElapsedLocked()
	switch {
	case p.config.Relief == 0: // since a reload, maybe
		r.next, r.due, r.waits = 0, 0, nil
		return
	case now < r.next:
		r.due = r.next
		return
	}
	r.next, r.due = 0, 0
	if !p.starved() {
		clear(r.waits)
		return
	}
	r.next = now + reliefLook
	p.lookWhoWaits(now)
	if len(r.waits) == 0 {
		return
	}
	r.due = r.next
	if late := p.late(now); late > 0 {
		p.sendRelief(late, fx)
	}
}

// lookWhoWaits brings waits up to date.
func (p *Pool) lookWhoWaits(now time.Duration) {
	waits := map[uint32]time.Duration{}
	for _, n := range []*Lane{&p.relief.threads, &p.relief.loops} {
		p.fleet.Owner.RunnableFor(n.index, func(caller uint32) bool {
			if p.Relieved(n, caller) && p.behindOthers(n, caller) {
				since, known := p.relief.waits[caller]
				if !known {
					since = now
				}
				waits[caller] = since
			}
			return false // there may be others
		})
	}
	p.relief.waits = waits
}

// late counts the callers that have waited for too long, if any of them has a task that
// can run.
func (p *Pool) late(now time.Duration) int {
	isLate := func(caller uint32) bool {
		since, waits := p.relief.waits[caller]
		return waits && now-since >= reliefAfter
	}
	count := 0
	for caller := range p.relief.waits {
		if isLate(caller) {
			count++
		}
	}
	owner := p.fleet.Owner
	if count == 0 || !owner.RunnableFor(p.threads.index, isLate) && !owner.RunnableFor(p.loops.index, isLate) {
		return 0
	}
	return count
}

// noteTurn notes that a caller has got a slot, or given one back.
func (r *relief) noteTurn(caller uint32) { delete(r.waits, caller) }

// blame notes that a worker has died, or has become unfit, of one of these, if they are
// one caller's.
func (r *relief) blame(tasks *holders, now time.Duration) {
	if len(tasks.of) != 1 {
		return
	}
	if r.blamed == nil {
		r.blamed = map[uint32]time.Duration{}
	}
	for caller := range tasks.of {
		r.blamed[caller] = now + blamedFor
	}
}

// sendRelief starts workers for so many callers, as far as they are not on their way.
func (p *Pool) sendRelief(callers int, fx *effects.List) {
	r, coming := &p.relief, 0
	for _, s := range r.seats {
		if s.state() != lifecycle.Ready {
			coming += p.slots()
		}
	}
	for ; coming < callers && len(r.seats) < p.config.Relief; coming += p.slots() {
		spec, core := p.reliefSpec()
		s := p.furnish(relieving, spec, core, fx)
		s.used = p.fleet.ElapsedLocked()
		r.seats = append(r.seats, s)
		fx.Log(hclog.Info, "callers wait behind another: the pool gets relief", "pool", p.config.Name, "worker", spec.ID, "callers", callers)
	}
}

// reliefSpec is how the next worker for relief is to run: where the fewest do.
func (p *Pool) reliefSpec() (spec supervisor.Spec, core int) {
	best, least := 0, 0
	for i, mask := range p.masks {
		n := 0
		for _, s := range p.fleet.SeatsLocked() {
			if slices.Equal(s.spec.CPUs, mask) {
				n++
			}
		}
		if i == 0 || n < least {
			best, least = i, n
		}
	}
	spec, core = p.post(best)
	for i := 0; ; i++ {
		spec.ID = fmt.Sprintf("%s-relief-%d", p.config.Name, i)
		if seatOf(spec.ID, p.relief.seats) == nil {
			return spec, core
		}
	}
}

// dismissRelief lets those seats for relief go that are not needed, or all whose workers
// are not as the configuration has it.
func (p *Pool) dismissRelief(outdated bool) {
	r, now := &p.relief, p.fleet.ElapsedLocked()
	kept := 0
	r.seats = slices.DeleteFunc(r.seats, func(s *Seat) bool {
		idle := s.busy() == 0 && now-s.used >= p.config.IdleTimeout
		if !idle && !outdated && kept < p.config.Relief {
			kept++
			return false
		}
		p.dismiss(s)
		return true
	})
	maps.DeleteFunc(r.blamed, func(_ uint32, until time.Duration) bool { return until <= now })
}
