// Package balancer decides which worker runs the next task. It is pure: no goroutine,
// no clock, no I/O; its owner serialises all calls and passes the time to them.
//
// Its owner keeps one queue of waiting tasks for all workers and asks for a place
// whenever the first of them may run. So no task is bound to a worker before it can
// begin, except those in windows.
//
// Guarantees, for policy LeastLoaded: Acquire leases a free slot of the worker whose
// share of busy slots is the least of all; among equals, the one whose leases are
// estimated to be the least work for each slot; among these, the one that was added
// first. The same calls always give the same choices. Other policies choose
// otherwise among the workers with a free slot, but never leave a slot idle that
// LeastLoaded would use.
//
// Estimates are not counted down while a task runs. Service times have heavy tails: a
// task that has run for long will probably run for long, so the elapsed part of an
// estimate does not bring the end closer.
//
// Windows: with Options.Window, a lease may also be a place behind a running task.
// It is given only when no slot is free, but for crowded cores, and only if all of the slot's tasks, the new
// one included, are estimated to take no longer than Window together and the running
// one has not been running for longer than that. The owner sends such a task at once,
// so that the worker goes on without waiting for the daemon, and keeps a timer on
// NextStall: the leases that Stalled returns then must be recalled from the worker.
// If that is done, no task waits behind one that has been running for longer than
// Window, nor in any way longer than twice Window, for a slot that it was promised.
// When a slot is free and nothing waits for it, Lagging has what can be recalled for it.
//
// Crowded cores: workers may share CPUs, see Cores. Where as many of their slots as there
// are CPUs have short tasks, one worker more would only take turns with those, and has to
// be woken for it. So free slots there come after all others, and for a task that takes
// less than a wake-up, which is Brief, after places in windows; for one that is Trivial,
// this begins where half of all CPUs have short tasks. This is so with LeastLoaded alone:
// other policies are for who wants work spread.
//
// Acquire and Release cost O(log n) in the number of slots.
package balancer

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Options of a Balancer. The zero value is LeastLoaded without windows.
type Options struct {
	Policy Policy
	// Window bounds how much work, by estimate, a slot may hold when it holds more
	// than one task; 0: a slot holds one task.
	Window time.Duration
	// Depth bounds how many tasks a slot may hold, and the leases that are given there from
	// one until it ends; 0 is 64.
	Depth int
	// Rand returns a number from 0 to below n, for PowerOfTwo; nil: a random one.
	Rand func(n int) int
}

// Balancer chooses among the workers of one pool. The zero value is ready, as if
// made by New(Options{}).
type Balancer struct {
	options Options
	cores   tournament[*Cores] // those with a worker that has a free slot can win
	alone   *Cores             // of those workers that share theirs with nobody
	cpus    int                // of all Cores with workers, but alone
	short   int                // slots there that have short tasks alone
	windows tournament[*slot]  // those that may hold one more task can win
	stalls  tournament[*slot]  // those with a task that waits can win
	lags    tournament[*slot]  // so can they here
	free    []*Worker          // with PowerOfTwo: the workers with a free slot
	added   uint64
	leased  uint64
	turns   uint64
	busy    int
	slots   int
	waiting int
	base    time.Time // when the first lease was given
}

// Worker represents a worker in a Balancer.
type Worker struct {
	slots   []slot
	free    []int // free slots; the last one is leased next
	content time.Duration
	order   uint64
	single  bool   // a slot holds one task
	turn    uint64 // when it was last chosen
	cores   *Cores
	leaf    int // in Cores.workers
	listed  int // in Balancer.free; -1: not there
	closed  bool
	removed bool
}

// slot is a place where a worker runs one task after the other.
type slot struct {
	worker  *Worker
	index   int
	leaf    int           // in windows, stalls and lags
	given   uint64        // how many leases it has given
	holds   []lease       // the first one runs
	started time.Duration // when the first got there
	content time.Duration // the estimates of all of them
	short   bool          // these are short; counted in Cores
}

// lease is the balancer's side of a Lease.
type lease struct {
	id       uint64
	number   uint64 // among those of the slot
	depth    int
	estimate time.Duration
	acquired time.Duration
	recalled bool // one of these has returned it: Stalled, Lagging, Unbegun, Close
}

// Lease is the right to use one slot of one worker until it is released. Leases
// are comparable; what Stalled, Lagging, Unbegun and Close return equals what Acquire has returned.
type Lease struct {
	Worker *Worker
	Slot   int
	// Depth is how many leases were before it in the slot when it was given; 0: the
	// slot was free.
	Depth int
	id    uint64
}

// New returns a Balancer without workers.
func New(o Options) *Balancer {
	if o.Rand == nil {
		o.Rand = rand.IntN
	}
	return &Balancer{options: o}
}

// SetWindow changes Options.Window for the next choices. Leases that wait stay, until they
// are recalled by the new one.
func (b *Balancer) SetWindow(d time.Duration) {
	if b.options.Window == d {
		return
	}
	b.options.Window = d
	for _, s := range b.windows.items {
		if s != nil {
			b.placeSlot(s)
		}
	}
}

// SetPolicy changes the policy for the next choices.
func (b *Balancer) SetPolicy(p Policy) {
	b.options.Policy, b.free = p, nil
	if b.options.Rand == nil {
		b.options.Rand = rand.IntN
	}
	for _, c := range b.cores.items {
		if c == nil {
			continue
		}
		for _, w := range c.workers.items {
			if w != nil {
				w.listed = -1
				c.workers.set(w.leaf, absent)
				b.placeWorker(w)
			}
		}
		b.placeCores(c) // with PowerOfTwo placeWorker leaves them alone
	}
}

// Add makes a worker with the given number of slots, at least 1, available. It has CPUs of
// its own.
func (b *Balancer) Add(slots int) *Worker { return b.add(slots, nil, false) }

// AddOn is Add for a worker that runs on c, which is of this Balancer.
func (b *Balancer) AddOn(c *Cores, slots int) *Worker { return b.add(slots, c, false) }

// AddSingle is Add for a worker from which nothing can be recalled: its slots hold one task
// each.
func (b *Balancer) AddSingle(slots int) *Worker { return b.add(slots, nil, true) }

func (b *Balancer) add(slots int, on *Cores, single bool) *Worker {
	if on == nil {
		if b.alone == nil {
			b.alone = &Cores{count: math.MaxInt}
			b.alone.leaf = b.cores.add(b.alone)
		}
		on = b.alone
	}
	w := &Worker{slots: make([]slot, slots), free: make([]int, slots), order: b.added, single: single, cores: on, listed: -1}
	b.turns++
	w.turn = b.turns // after all others
	w.leaf = on.workers.add(w)
	b.settle(on, 1)
	for i := range w.slots {
		w.slots[i] = slot{worker: w, index: i}
		w.free[i] = slots - 1 - i
		w.slots[i].leaf = b.windows.add(&w.slots[i])
		b.stalls.addAt(w.slots[i].leaf, &w.slots[i])
		b.lags.addAt(w.slots[i].leaf, &w.slots[i])
	}
	b.added++
	b.slots += slots
	b.placeWorker(w)
	return w
}

// Remove removes w. Its leases end with it: releasing them later does nothing. A
// second Remove does nothing.
func (b *Balancer) Remove(w *Worker) {
	if w.removed {
		return
	}
	b.Close(w)
	w.removed = true
	w.cores.workers.remove(w.leaf)
	b.settle(w.cores, -1)
	b.busy -= w.Busy()
	for i := range w.slots {
		s := &w.slots[i]
		b.waiting -= max(0, len(s.holds)-1)
		b.setShort(s, false)
		b.windows.remove(s.leaf)
		b.stalls.remove(s.leaf)
		b.lags.remove(s.leaf)
	}
}

// Close gives no further leases on w, which is fenced or draining; existing leases
// stay valid. It returns those that wait behind another, to be recalled.
func (b *Balancer) Close(w *Worker) []Lease {
	if w.closed || w.removed {
		return nil
	}
	w.closed = true
	b.slots -= len(w.slots)
	b.placeWorker(w)
	var waiting []Lease
	for i := range w.slots {
		waiting = append(waiting, w.slots[i].recall()...)
		b.placeSlot(&w.slots[i])
	}
	return waiting
}

// Acquire leases a place for a task that is expected to take estimate; 0 means that
// nothing is known about it, and counts as long. It returns false when there is no
// place; there will be one after a Release or an Add.
func (b *Balancer) Acquire(now time.Time, estimate time.Duration) (Lease, bool) {
	w := b.choose()
	if w == nil || b.enough(w, estimate) {
		if l, ok := b.behind(now, estimate); ok || w == nil {
			return l, ok
		}
	}
	return b.start(w, now, estimate), true
}

// Room reports whether Acquire could lease a place to some task, if only a short one.
// The owner asks before it looks for one in its queue.
func (b *Balancer) Room() bool {
	s, _ := b.windows.best()
	return s != nil || b.Free()
}

// Free reports whether a slot is free: then Acquire has a place for any task.
func (b *Balancer) Free() bool {
	c, _ := b.cores.best()
	return c != nil || len(b.free) > 0
}

// Fits reports whether Acquire would lease a place. The owner asks before it takes a task
// out of its queue.
func (b *Balancer) Fits(now time.Time, estimate time.Duration) bool {
	return b.Free() || b.shortest(now, b.assume(estimate)) != nil
}

// start leases a free slot of w.
func (b *Balancer) start(w *Worker, now time.Time, estimate time.Duration) Lease {
	s := &w.slots[w.free[len(w.free)-1]]
	w.free = w.free[:len(w.free)-1]
	b.busy++
	b.turns++
	w.turn = b.turns
	return b.hold(s, now, estimate)
}

// hold appends a lease to those of s.
func (b *Balancer) hold(s *slot, now time.Time, estimate time.Duration) Lease {
	at := b.since(now)
	if len(s.holds) == 0 {
		s.started = at
	}
	b.leased++
	s.given++
	l := lease{id: b.leased, number: s.given, depth: len(s.holds), estimate: b.assume(estimate), acquired: at}
	s.holds = append(s.holds, l)
	s.content += l.estimate
	s.worker.content += l.estimate
	b.placeWorker(s.worker)
	b.placeSlot(s)
	return s.lease(l)
}

// Release gives l back and returns for how long it was the first of its slot, which
// is what its task took: 0 if it never was. The next one of the slot, if any, is the
// first from now on. A lease that has ended already is ignored.
func (b *Balancer) Release(l Lease, now time.Time) time.Duration {
	s := &l.Worker.slots[l.Slot]
	i := slices.IndexFunc(s.holds, func(h lease) bool { return h.id == l.id })
	if i < 0 || s.worker.removed {
		return 0
	}
	var served time.Duration
	if i == 0 {
		served, s.started = b.since(now)-s.started, b.since(now)
	}
	w := s.worker
	s.content -= s.holds[i].estimate
	w.content -= s.holds[i].estimate
	if s.holds = slices.Delete(s.holds, i, i+1); len(s.holds) == 0 {
		w.free = append(w.free, s.index)
		b.busy--
	} else {
		b.waiting--
	}
	b.placeWorker(w)
	b.placeSlot(s)
	return served
}

// Lengthen notes that nothing is known any more of how long the task of l takes: its slot
// gets no other one before it has ended.
func (b *Balancer) Lengthen(l Lease) {
	s := &l.Worker.slots[l.Slot]
	i := slices.IndexFunc(s.holds, func(h lease) bool { return h.id == l.id })
	if i < 0 || s.worker.removed {
		return
	}
	more := b.assume(0) - s.holds[i].estimate
	s.holds[i].estimate += more
	s.content += more
	s.worker.content += more
	b.placeWorker(s.worker)
	b.placeSlot(s)
}

// Busy returns the number of slots with a lease, closed workers' included.
func (b *Balancer) Busy() int { return b.busy }

// Slots returns the number of slots of all workers that are not closed.
func (b *Balancer) Slots() int { return b.slots }

// Waiting returns the number of leases that are behind another in their slot.
func (b *Balancer) Waiting() int { return b.waiting }

// Busy returns the number of w's slots with a lease.
func (w *Worker) Busy() int { return len(w.slots) - len(w.free) }

// takes reports whether w may be given leases, if it has room.
func (w *Worker) takes() bool { return !w.closed && !w.removed }

// unknown is the estimate for a task about which nothing is known.
const unknown = time.Second

func (b *Balancer) assume(estimate time.Duration) time.Duration {
	if estimate <= 0 {
		return max(unknown, b.options.Window+1)
	}
	return estimate
}

// since returns the time since the first call.
func (b *Balancer) since(now time.Time) time.Duration {
	if b.base.IsZero() {
		b.base = now
	}
	return now.Sub(b.base)
}

// compareLoad is the order of LeastLoaded.
func compareLoad(w, v *Worker) int {
	p, q := w.load(), v.load()
	return cmp.Or(cmp.Compare(p.first, q.first), cmp.Compare(p.second, q.second), cmp.Compare(p.third, q.third))
}
