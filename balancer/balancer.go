// Package balancer decides which worker runs the next task. It is pure: no
// goroutine, no clock, no I/O; its owner serialises all calls.
//
// Guarantees: Acquire returns a slot of a worker whose share of busy slots is
// the least of all; among equals, the one that was added first, so that the same
// calls always give the same choices. A slot is leased to one holder at a time.
// Acquire and Release cost O(log n) in the number of workers.
package balancer

import "container/heap"

// Balancer chooses among the workers of one pool. The zero value is ready.
type Balancer struct {
	heap  workerHeap
	added uint64
	busy  int
	slots int
}

// Worker is a worker's entry in a Balancer.
type Worker struct {
	free  []int // slots that nobody holds; the last is the next to go
	slots int
	order uint64
	index int // in the heap; -1 once removed
}

// Lease is the right to use one slot of one worker until it is released.
type Lease struct {
	Worker *Worker
	Slot   int
}

// Add makes a worker with the given number of slots, at least 1, available.
func (b *Balancer) Add(slots int) *Worker {
	w := &Worker{slots: slots, order: b.added, free: make([]int, slots)}
	for i := range w.free {
		w.free[i] = slots - 1 - i
	}
	b.added++
	b.slots += slots
	heap.Push(&b.heap, w)
	return w
}

// Remove takes w out of the choice. Leases on it end with it: releasing them
// later does nothing. A second Remove does nothing.
func (b *Balancer) Remove(w *Worker) {
	if w.index < 0 {
		return
	}
	b.busy -= w.busy()
	b.slots -= w.slots
	heap.Remove(&b.heap, w.index)
}

// Acquire leases a slot of the least-loaded worker; false when none is free.
func (b *Balancer) Acquire() (Lease, bool) {
	if len(b.heap) == 0 || len(b.heap[0].free) == 0 {
		return Lease{}, false
	}
	w := b.heap[0]
	slot := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	b.busy++
	heap.Fix(&b.heap, 0)
	return Lease{Worker: w, Slot: slot}, true
}

// Release gives l back. A lease is released once.
func (b *Balancer) Release(l Lease) {
	w := l.Worker
	if w.index < 0 {
		return
	}
	w.free = append(w.free, l.Slot)
	b.busy--
	heap.Fix(&b.heap, w.index)
}

// Busy returns the number of leased slots, Slots that of all slots.
func (b *Balancer) Busy() int { return b.busy }

// Slots returns the number of slots of all workers.
func (b *Balancer) Slots() int { return b.slots }

func (w *Worker) busy() int { return w.slots - len(w.free) }

// less compares shares of busy slots without dividing.
func (w *Worker) less(v *Worker) bool {
	left, right := w.busy()*v.slots, v.busy()*w.slots
	if left != right {
		return left < right
	}
	return w.order < v.order
}

// workerHeap implements heap.Interface with the least loaded worker at its root.
type workerHeap []*Worker

func (h workerHeap) Len() int           { return len(h) }
func (h workerHeap) Less(i, j int) bool { return h[i].less(h[j]) }

func (h workerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *workerHeap) Push(x any) {
	w := x.(*Worker)
	w.index = len(*h)
	*h = append(*h, w)
}

func (h *workerHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.index = -1
	return w
}
