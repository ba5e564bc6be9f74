package balancer

import "time"

// Brief is about what it costs to wake a worker. A task that is estimated to take no longer
// does not get one woken on crowded cores. One that takes longer may do so because it waits
// for something, and others can use the CPU meanwhile.
const Brief = 50 * time.Microsecond

func brief(estimate time.Duration) bool { return estimate > 0 && estimate <= Brief }

// Trivial is how long a task takes, at most, that costs more to be handed over than to be run:
// whoever hands such ones to a worker, and takes their Results, needs as much of a CPU as the
// worker. So a free slot is not used for one where half of the CPUs have short tasks.
const Trivial = 5 * time.Microsecond

// mostPacked is how long a window may be for tasks to wait in it beside a free slot: one that
// is taken for short waits there for that long when those before it are not.
const mostPacked = 5 * time.Millisecond

// Cores are CPUs that several workers run on.
type Cores struct {
	count   int
	workers tournament[*Worker] // those with a free slot can win
	leaf    int                 // in Balancer.cores
	short   int                 // how many slots have short tasks alone
	settled int                 // how many workers run there
}

// NewCores returns so many CPUs, for AddOn.
func (b *Balancer) NewCores(count int) *Cores {
	c := &Cores{count: count}
	c.leaf = b.cores.add(c)
	return c
}

// settle counts change workers more that run on c.
func (b *Balancer) settle(c *Cores, change int) {
	was := c.settled > 0
	c.settled += change
	switch is := c.settled > 0; {
	case was == is || c == b.alone:
	case is:
		b.cpus += c.count
	default:
		b.cpus -= c.count
	}
}

// crowded reports whether one worker more would have to share a CPU with short tasks, and
// this policy minds.
func (b *Balancer) crowded(c *Cores) bool {
	return c.short >= c.count && b.packs()
}

// halfCrowded reports whether half of all CPUs that are shared, with c among them, have short
// tasks to run.
func (b *Balancer) halfCrowded(c *Cores) bool {
	return b.packs() && c != b.alone && 2*b.short >= b.cpus
}

// packs reports whether tasks may wait beside free slots.
func (b *Balancer) packs() bool {
	return (b.options.Policy == LeastLoaded || b.options.Policy == "") && b.options.Window <= mostPacked
}

// crowdedLast goes into the first word of a key, which is less, so that crowded cores come
// after all others.
const crowdedLast = 1 << 63

// enough reports whether a task gains nothing by having w run it, which has a free slot,
// rather than waiting in a window.
func (b *Balancer) enough(w *Worker, estimate time.Duration) bool {
	return brief(estimate) && (b.crowded(w.cores) || estimate <= Trivial && b.halfCrowded(w.cores))
}

// placeCores is called after every change of which worker of c comes first, and of whether
// c is crowded.
func (b *Balancer) placeCores(c *Cores) {
	_, k := c.workers.best()
	if k != absent && b.crowded(c) {
		k.first |= crowdedLast
	}
	b.cores.set(c.leaf, k)
}

// setShort notes whether s has short tasks alone, as far as is known.
func (b *Balancer) setShort(s *slot, short bool) {
	if s.short == short {
		return
	}
	c := s.worker.cores
	crowded := b.crowded(c)
	change := 1
	if s.short = short; !short {
		change = -1
	}
	if c.short += change; c != b.alone {
		b.short += change
	}
	if b.crowded(c) != crowded {
		b.placeCores(c)
	}
}
