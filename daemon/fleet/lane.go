package fleet

import (
	"fmt"
	"time"

	"cpulb/balancer"
)

// Lane pairs one class of slots (threads, or places on loops) of the pool's seats, or of
// its relief workers, with the lane of the owner's queue where tasks wait for them.
type Lane struct {
	index    int  // in the queue
	loop     bool // they come after the other slots of a worker
	balancer balancer.Balancer
	entries  map[*balancer.Worker]*Worker
	// cores are the CPUs of its workers, by what they are called.
	cores map[string]*balancer.Cores
	// held are those of its slots that callers hold, class those of both lanes with its
	// class of slots.
	held  holders
	class *holders
	// may, if not nil, reports whether the lane may get one more task, see trial.go.
	may func() bool
}

func newLane(class *holders, loop bool) Lane {
	return Lane{loop: loop, entries: map[*balancer.Worker]*Worker{}, cores: map[string]*balancer.Cores{}, class: class}
}

// holders counts the slots that callers hold. A slot is held until what runs there has
// stopped, whatever its caller has been told.
type holders struct {
	of    map[uint32]int // by caller
	total int
}

// add adds n slots, which may be less than 0, to those of a caller.
func (h *holders) add(caller uint32, n int) {
	h.total += n
	if h.of == nil {
		h.of = map[uint32]int{}
	}
	if h.of[caller] += n; h.of[caller] == 0 {
		delete(h.of, caller)
	}
}

// with returns how many callers there are if this one, who may hold nothing, is counted.
func (h *holders) with(caller uint32) int {
	if h.of[caller] == 0 {
		return len(h.of) + 1
	}
	return len(h.of)
}

// Index returns the lane of the owner's queue.
func (n *Lane) Index() int { return n.index }

// Room reports whether there is a place for some task, if only for a short one.
func (n *Lane) Room() bool { return n.balancer.Room() && (n.may == nil || n.may()) }

// Acquire gives a task a place in a class, at this time by Fleet.Elapsed; nil: there is none
// for it.
func (p *Pool) Acquire(n *Lane, h Hold, at time.Duration) *Place {
	lease, ok := n.balancer.Acquire(timeOf(at), p.span(h))
	if !ok {
		return nil
	}
	if lease.Depth > 0 {
		p.watchStalls()
	}
	s := n.slot(lease)
	p.tryout.gave(s.worker.seat.kind)
	return s.takes(h, lease)
}

// Fits reports whether Acquire has a place for a task at that time.
func (p *Pool) Fits(n *Lane, h Hold, at time.Duration) bool {
	if n.may != nil && !n.takesInTrial(h) {
		return false
	}
	return n.balancer.Free() || n.balancer.Fits(timeOf(at), p.span(h))
}

// slot returns the one that a lease is of.
func (n *Lane) slot(l balancer.Lease) *Slot {
	w, i := n.entries[l.Worker], l.Slot
	if n.loop {
		i += w.spec.Slots
	}
	return w.slots[i]
}

// open adds a worker's slots to the choice.
func (n *Lane) open(w *Worker) *balancer.Worker {
	count := w.spec.Slots
	if n.loop {
		count = w.spec.LoopSlots
	}
	if count == 0 {
		return nil
	}
	first := 0
	if n.loop {
		first = w.spec.Slots
	}
	for _, s := range w.slots[first : first+count] {
		s.lane = n
	}
	entry := n.enter(w, count, w.slots[first].conn.Shares())
	n.entries[entry] = w
	return entry
}

// enter adds so many slots of w to the balancer. Those of one process take turns by
// themselves, so only workers with one slot each are looked at for sharing CPUs.
func (n *Lane) enter(w *Worker, slots int, shares bool) *balancer.Worker {
	switch cpus := w.spec.CPUs; {
	case !shares: // what it has can't be taken back at once
		return n.balancer.AddSingle(slots)
	case slots > 1 || len(cpus) == 0:
		return n.balancer.Add(slots)
	default:
		name := fmt.Sprint(cpus)
		if n.cores[name] == nil {
			n.cores[name] = n.balancer.NewCores(len(cpus))
		}
		return n.balancer.AddOn(n.cores[name], slots)
	}
}

// close takes them out again.
func (n *Lane) close(w *balancer.Worker) {
	if w != nil {
		n.balancer.Remove(w)
		delete(n.entries, w)
	}
}
