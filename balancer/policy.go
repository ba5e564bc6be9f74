package balancer

import "math"

// Policy is a way to choose among the workers with a free slot.
type Policy string

// The policies; the empty one is LeastLoaded.
const (
	// LeastLoaded takes the worker with the least share of busy slots, then with the
	// least work.
	LeastLoaded Policy = "least_loaded"
	// RoundRobin takes the worker that has not been taken for the longest time.
	RoundRobin Policy = "round_robin"
	// PowerOfTwo looks at two workers at random and takes the less loaded of them.
	PowerOfTwo Policy = "power_of_two"
)

// Policies returns all of them, the default first.
func Policies() []Policy { return []Policy{LeastLoaded, RoundRobin, PowerOfTwo} }

// choose returns the worker whose free slot is leased next; nil: there is none.
func (b *Balancer) choose() *Worker {
	if b.options.Policy != PowerOfTwo {
		if c, _ := b.cores.best(); c != nil {
			w, _ := c.workers.best()
			return w
		}
		return nil
	}
	n := len(b.free)
	switch n {
	case 0:
		return nil
	case 1:
		return b.free[0]
	}
	i, j := b.options.Rand(n), b.options.Rand(n-1)
	if j >= i {
		j++ // two different ones
	}
	if compareLoad(b.free[i], b.free[j]) <= 0 {
		return b.free[i]
	}
	return b.free[j]
}

// placeWorker must be called after every change that affects the choice of w.
func (b *Balancer) placeWorker(w *Worker) {
	room := w.takes() && len(w.free) > 0
	switch {
	case b.options.Policy == PowerOfTwo:
		b.list(w, room)
		return
	case !room:
		w.cores.workers.set(w.leaf, absent)
	case b.options.Policy == RoundRobin:
		w.cores.workers.set(w.leaf, key{w.turn, w.order, 0})
	default:
		w.cores.workers.set(w.leaf, w.load())
	}
	b.placeCores(w.cores)
}

// list adds w to the list of workers with a free slot, or removes it.
func (b *Balancer) list(w *Worker, room bool) {
	switch {
	case room && w.listed < 0:
		w.listed = len(b.free)
		b.free = append(b.free, w)
	case !room && w.listed >= 0:
		last := b.free[len(b.free)-1]
		b.free[w.listed], last.listed = last, w.listed
		b.free[len(b.free)-1] = nil
		b.free = b.free[:len(b.free)-1]
		w.listed = -1
	}
}

// load is w's key with LeastLoaded. Division rounds correctly, so equal shares of
// different numbers of slots are equal here too.
func (w *Worker) load() key {
	slots := float64(len(w.slots))
	return key{math.Float64bits(float64(w.Busy()) / slots), math.Float64bits(float64(w.content) / slots), w.order}
}
