package daemon

import (
	"cpulb/daemon/effects"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A pool with max_workers has between min_workers and that many. It gets one more
// while tasks wait, which is looked at every tendInterval, and gives one up when
// the others would have sufficed for pool.idle_timeout.

// demand is what a pool's size follows.
type demand struct {
	waited bool          // tasks waited when it was last looked at
	calm   bool          // there is a worker too many
	since  time.Duration // when there began to be
}

// scale makes the pool larger or smaller by a worker, if it has to be.
func (p *pool) scale(now time.Duration, fx *effects.List) {
	if p.config.MaxWorkers == 0 || p.engine.draining || p.engine.life.Err() != nil {
		return
	}
	waits := p.starvedLocked()
	if waits && p.demand.waited && len(p.seats) < p.config.MaxWorkers {
		p.setCount(len(p.seats)+1, "tasks wait", fx)
	}
	p.demand.waited = waits
	switch {
	case waits || len(p.seats) <= p.config.MinWorkers || !p.oneTooManyLocked():
		p.demand.calm = false
	case !p.demand.calm:
		p.demand.calm, p.demand.since = true, now
	case now-p.demand.since >= p.config.IdleTimeout:
		p.demand.calm = false
		p.setCount(len(p.seats)-1, "there was little to do", fx)
	}
}

// starvedLocked tells whether tasks wait that any worker could take.
func (p *pool) starvedLocked() bool {
	q, now := p.engine.queue, p.engine.now()
	return q.Runnable(now, p.threads.index) || q.Runnable(now, p.loops.index)
}

// oneTooManyLocked tells whether one worker fewer would have slots to spare.
func (p *pool) oneTooManyLocked() bool {
	busy := 0
	for _, s := range p.seats {
		busy += s.busyLocked()
	}
	return busy < (len(p.seats)-1)*p.slots()
}

// setCount changes the number of seats; who leaves one finishes what it has.
func (p *pool) setCount(n int, why string, fx *effects.List) {
	had := len(p.seats)
	p.count = n
	p.resizeLocked()
	for _, s := range p.seats[min(had, n):] {
		p.engine.supervisors.Go(s.supervise)
	}
	fx.Log(hclog.Info, "the pool changes its size", "pool", p.config.Name, "workers", n, "reason", why)
}
