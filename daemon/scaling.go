package daemon

import "time"

// A pool with max_workers has between min_workers and that many. It gets one more
// while tasks wait, which is looked at every tendInterval, and gives one up when
// the others would have sufficed for pool.idle_timeout.

// demand is what a pool's size follows.
type demand struct {
	waited bool      // tasks waited when it was last looked at
	calm   time.Time // since when there is a worker too many; zero: there is not
}

// scale makes the pool larger or smaller by a worker, if it has to be. Engine.mu is
// held.
func (p *pool) scale(now time.Time) {
	if p.config.MaxWorkers == 0 || p.engine.draining || p.engine.life.Err() != nil {
		return
	}
	waits := p.starved(now)
	if waits && p.demand.waited && len(p.seats) < p.config.MaxWorkers {
		p.setCount(len(p.seats)+1, "tasks wait")
	}
	p.demand.waited = waits
	switch {
	case waits || len(p.seats) <= p.config.MinWorkers || !p.oneTooMany():
		p.demand.calm = time.Time{}
	case p.demand.calm.IsZero():
		p.demand.calm = now
	case now.Sub(p.demand.calm) >= p.config.IdleTimeout:
		p.demand.calm = time.Time{}
		p.setCount(len(p.seats)-1, "there was little to do")
	}
}

// starved tells whether tasks wait that any worker could take. Engine.mu is held.
func (p *pool) starved(now time.Time) bool {
	q := p.engine.queue
	return q.Runnable(now, p.threads.index) || q.Runnable(now, p.loops.index)
}

// oneTooMany tells whether one worker fewer would have slots to spare. Engine.mu is
// held.
func (p *pool) oneTooMany() bool {
	busy := 0
	for _, s := range p.seats {
		busy += s.busy()
	}
	return busy < (len(p.seats)-1)*p.slots()
}

// setCount changes the number of seats; who leaves one finishes what it has.
// Engine.mu is held.
func (p *pool) setCount(n int, why string) {
	had := len(p.seats)
	p.count = n
	p.resize()
	for _, s := range p.seats[min(had, n):] {
		p.engine.supervisors.Go(s.supervise)
	}
	p.engine.log.Info("the pool changes its size", "pool", p.config.Name, "workers", n, "reason", why)
}
