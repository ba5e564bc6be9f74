package balancer

import "time"

// Brief is about what it costs to wake a worker. A task that is estimated to take no longer
// does not get one woken on crowded cores. One that takes longer may do so because it waits
// for something, and others can use the CPU meanwhile.
const Brief = 50 * time.Microsecond

func brief(estimate time.Duration) bool { return estimate > 0 && estimate <= Brief }

// Cores are CPUs that several workers run on.
type Cores struct {
	count   int
	workers tournament[*Worker] // those with a free slot can win
	leaf    int                 // in Balancer.cores
	short   int                 // how many slots have short tasks alone
}

// NewCores returns so many CPUs, for AddOn.
func (b *Balancer) NewCores(count int) *Cores {
	c := &Cores{count: count}
	c.leaf = b.cores.add(c)
	return c
}

// crowded reports whether one worker more would have to share a CPU with short tasks, and
// this policy minds.
func (b *Balancer) crowded(c *Cores) bool {
	return c.short >= c.count && (b.options.Policy == LeastLoaded || b.options.Policy == "")
}

// crowdedLast goes into the first word of a key, which is less, so that crowded cores come
// after all others.
const crowdedLast = 1 << 63

// idle reports whether a slot is free that is not on crowded cores.
func (b *Balancer) idle() bool {
	w := b.choose()
	return w != nil && !b.crowded(w.cores)
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
	if s.short = short; short {
		c.short++
	} else {
		c.short--
	}
	if b.crowded(c) != crowded {
		b.placeCores(c)
	}
}
