package fleet

import (
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
)

// Where no slot is free, short tasks wait in windows: behind others of a slot, in the worker
// already, so that this goes on without waiting for the daemon. What is too long there is
// taken back at once, as the worker shares its claims: when a slot's task turns out long
// (stalls), or another slot is free and nothing waits for it (Level). The balancer says
// which. A slot is not free for the shortest tasks where the CPUs have others to run already.

// worthMoving is how much work, by estimate, must wait in a slot until some is moved to one
// that is free: to move a task, both workers have to be woken.
const worthMoving = 100 * time.Microsecond

// stalls is the timer for the windows of a pool.
type stalls struct {
	timer *time.Timer
	armed bool
	at    time.Time // it fires, while armed
}

// watchStalls sees to it that tasks are taken back when they have waited for too long.
func (p *Pool) watchStalls() {
	at, ok := p.threads.balancer.NextStall()
	if !ok || p.stalls.armed && !at.Before(p.stalls.at) {
		return
	}
	p.stalls.armed, p.stalls.at = true, at
	wait := at.Sub(p.fleet.now())
	if p.stalls.timer == nil {
		p.stalls.timer = time.AfterFunc(wait, func() { p.fleet.do(p.recallStalled) })
	} else {
		p.stalls.timer.Reset(wait)
	}
}

// recallStalled takes those tasks back that have waited for too long.
func (p *Pool) recallStalled(fx *effects.List) {
	p.stalls.armed = false
	if p.threads.recall(p.threads.balancer.Stalled(p.fleet.now()), fx) {
		p.fleet.Owner.Room(p, fx)
	}
	p.watchStalls()
}

// EmptyWindows takes everything back that waits behind another task: none is to begin now.
func (p *Pool) EmptyWindows(fx *effects.List) {
	p.threads.recall(p.threads.balancer.Unbegun(), fx)
}

// Level takes a task back that waits in a window, for a free slot of the lane that nobody
// else wants. It reports whether there was one.
func (p *Pool) Level(n *Lane, fx *effects.List) bool {
	for n.balancer.Free() {
		l, ok := n.balancer.Lagging(worthMoving)
		if !ok {
			return false
		}
		if n.recall([]balancer.Lease{l}, fx) {
			return true
		}
	}
	return false
}

// recall takes the tasks of leases back that their workers have not begun. It reports whether
// there were any.
func (n *Lane) recall(leases []balancer.Lease, fx *effects.List) (some bool) {
	for _, l := range leases {
		s := n.slot(l)
		if pl := s.placeOf(l); pl != nil && pl.recall() {
			s.pool.fleet.Owner.Returned(pl.release(), Recalled, fx)
			some = true
		}
	}
	return some
}
