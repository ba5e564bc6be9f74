package fleet

import (
	"time"

	"cpulb/daemon/effects"

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
func (p *Pool) scale(fx *effects.List) {
	if p.config.MaxWorkers == 0 || p.fleet.Owner.Draining() || p.fleet.life.Err() != nil {
		return
	}
	waits, now := p.starved(), p.fleet.Elapsed()
	if waits && p.demand.waited && len(p.seats) < p.config.MaxWorkers {
		p.setCount(len(p.seats)+1, "tasks wait", fx)
	}
	p.demand.waited = waits
	switch {
	case waits || len(p.seats) <= p.config.MinWorkers || !p.oneTooMany():
		p.demand.calm = false
	case !p.demand.calm:
		p.demand.calm, p.demand.since = true, now
	case now-p.demand.since >= p.config.IdleTimeout:
		p.demand.calm = false
		p.setCount(len(p.seats)-1, "there was little to do", fx)
	}
}

// starved reports whether tasks wait that any worker could take.
func (p *Pool) starved() bool {
	return p.fleet.Owner.Runnable(p.threads.index) || p.fleet.Owner.Runnable(p.loops.index)
}

// oneTooMany reports whether one worker fewer would have slots to spare.
func (p *Pool) oneTooMany() bool {
	busy := 0
	for _, s := range p.seats {
		busy += s.busy()
	}
	return busy < (len(p.seats)-1)*p.slots()
}

// setCount changes the number of seats; who leaves one finishes what it has.
func (p *Pool) setCount(n int, why string, fx *effects.List) {
	had := len(p.seats)
	p.count = n
	p.resize()
	for _, s := range p.seats[min(had, n):] {
		p.fleet.start(runner{s}.supervise, fx)
	}
	fx.Log(hclog.Info, "the pool changes its size", "pool", p.config.Name, "workers", n, "reason", why)
}
