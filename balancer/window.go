package balancer

import (
	"math"
	"time"
)

// behind leases a place behind the running task of the slot that holds the least
// work; false when none may hold more.
func (b *Balancer) behind(now time.Time, estimate time.Duration) (Lease, bool) {
	estimate = b.assume(estimate)
	s := b.shortest(now, estimate)
	if s == nil {
		return Lease{}, false
	}
	b.waiting++
	return b.hold(s, now, estimate), true
}

// shortest returns the slot behind whose tasks one more may wait; nil: there is none.
func (b *Balancer) shortest(now time.Time, estimate time.Duration) *slot {
	for {
		s, k := b.windows.best()
		if s == nil || time.Duration(k.first)+estimate > b.options.Window {
			return nil
		}
		if b.since(now)-s.started < b.options.Window { // at the bound itself it would be recalled at once
			return s
		}
		b.windows.set(s.leaf, absent) // its task turned out long; it is back with the next
		b.setShort(s, false)
	}
}

// defaultDepth is Options.Depth if that is 0.
const defaultDepth = 64

// deep reports whether s may hold no more, however short.
func (b *Balancer) deep(s *slot) bool {
	depth := b.options.Depth
	if depth <= 0 {
		depth = defaultDepth
	}
	return s.given-s.holds[0].number+1 >= uint64(depth)
}

// NextStall returns when Stalled has to be called next; false: not before a further
// Acquire. Any call may change it.
func (b *Balancer) NextStall() (time.Time, bool) {
	s, k := b.stalls.best()
	if s == nil {
		return time.Time{}, false
	}
	return b.base.Add(time.Duration(k.first)), true
}

// Stalled returns the leases that have waited for too long in their windows, each
// once: their tasks are to be recalled from the workers. A lease whose task could be
// recalled is to be released, and the task put back to the front of the queue; one
// whose task has been claimed meanwhile is kept until the task ends, as any.
// A slot of which leases are being recalled gets none until they are released.
func (b *Balancer) Stalled(now time.Time) []Lease {
	var stalled []Lease
	for {
		s, k := b.stalls.best()
		if s == nil || time.Duration(k.first) > b.since(now) {
			return stalled
		}
		stalled = append(stalled, s.recall()...)
		b.placeSlot(s)
	}
}

// Unbegun returns all leases that wait, each once, to be recalled as those of Stalled: nothing
// that has not begun is to begin.
func (b *Balancer) Unbegun() []Lease {
	var waiting []Lease
	for {
		s, _ := b.lags.best()
		if s == nil {
			return waiting
		}
		waiting = append(waiting, s.recall()...)
		b.placeSlot(s)
	}
}

// Lagging returns the last lease of the slot in which most work waits, by estimate, if that
// is at least worth. It is for when a slot is free that nobody else wants: the task is to be
// recalled as one of Stalled. What gains nothing by a worker more is not moved.
func (b *Balancer) Lagging(worth time.Duration) (Lease, bool) {
	s, k := b.lags.best()
	if s == nil || time.Duration(most-k.first) < worth {
		return Lease{}, false
	}
	last := &s.holds[len(s.holds)-1]
	if w := b.choose(); w == nil || b.enough(w, last.estimate) {
		return Lease{}, false
	}
	last.recalled = true
	b.placeSlot(s)
	return s.lease(*last), true
}

// most is what the work that waits is counted down from: tournaments are won by the least.
const most = math.MaxUint64 - 1

// recall marks the leases that wait in s and returns those that were not marked.
func (s *slot) recall() []Lease {
	var waiting []Lease
	for i := range s.holds {
		if l := &s.holds[i]; i > 0 && !l.recalled {
			l.recalled = true
			waiting = append(waiting, s.lease(*l))
		}
	}
	return waiting
}

// placeSlot is called whenever something has changed that s gets, or must lose,
// waiting leases by.
func (b *Balancer) placeSlot(s *slot) {
	window, stall, lag, short := absent, absent, absent, false
	if len(s.holds) > 0 && !s.recalling() {
		short = s.worker.takes() && s.content <= b.options.Window
		if s.worker.takes() && !s.worker.single && s.content < b.options.Window && !b.deep(s) {
			window = key{uint64(s.content), s.worker.order, uint64(s.index)}
		}
		if len(s.holds) > 1 {
			stall = key{uint64(b.stallAt(s)), s.worker.order, uint64(s.index)}
			lag = key{most - uint64(s.content-s.holds[0].estimate), s.worker.order, uint64(s.index)}
		}
	}
	b.setShort(s, short)
	b.windows.set(s.leaf, window)
	b.stalls.set(s.leaf, stall)
	b.lags.set(s.leaf, lag)
}

// stallAt returns when the leases that wait in s have to be recalled: when the
// running task has proved long, or the oldest of them has waited for too long
// although no single task was long. It is never before the first of all leases.
func (b *Balancer) stallAt(s *slot) time.Duration {
	return max(0, min(s.started+b.options.Window, s.holds[1].acquired+2*b.options.Window))
}

// recalling tells whether leases of s have been recalled and not been released yet.
func (s *slot) recalling() bool {
	for _, l := range s.holds {
		if l.recalled {
			return true
		}
	}
	return false
}

func (s *slot) lease(l lease) Lease {
	return Lease{Worker: s.worker, Slot: s.index, Depth: l.depth, id: l.id}
}
