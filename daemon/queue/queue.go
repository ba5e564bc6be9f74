// Package queue is the bounded, prioritised input queue: lanes (one a pool) that
// share one capacity. It is a plain data structure: it has no lock, no goroutine
// and no clock, and its owner serialises all calls.
//
// Guarantees: within a lane a higher priority leaves first and equal priorities
// leave in the order in which they came; every operation is O(1).
package queue

import "errors"

// ErrFull is returned by Push when the queue holds its capacity.
var ErrFull = errors.New("queue is full")

// Levels is the number of priorities, 0 to Levels-1; the highest leaves first.
const Levels = 10

// Queue holds items of type T.
type Queue[T any] struct {
	capacity int
	size     int
	lanes    []lane[T]
	put      uint64
	dropped  uint64
}

type lane[T any] struct {
	levels [Levels]list[T]
	size   int
}

// list is a doubly linked list with its ends.
type list[T any] struct{ front, back *Item[T] }

// Item is one place in the queue. It belongs to the queue until it has been
// popped or removed.
type Item[T any] struct {
	Value      T
	prev, next *Item[T]
	lane       int
	priority   int
	queued     bool
}

// New returns a queue for at most capacity items over all lanes.
func New[T any](lanes, capacity int) *Queue[T] {
	return &Queue[T]{capacity: capacity, lanes: make([]lane[T], lanes)}
}

// Push puts v at the end of its priority. It fails with ErrFull, and counts the
// drop, when the queue is at its capacity.
func (q *Queue[T]) Push(lane, priority int, v T) (*Item[T], error) {
	if q.size >= q.capacity {
		q.dropped++
		return nil, ErrFull
	}
	q.put++
	it := q.item(lane, priority, v)
	l := &q.lanes[lane].levels[priority]
	it.prev = l.back
	if l.back != nil {
		l.back.next = it
	} else {
		l.front = it
	}
	l.back = it
	return it, nil
}

// Return puts v back at the front of its priority: it has waited before. It
// never fails, even over capacity, because v has been accepted already.
func (q *Queue[T]) Return(lane, priority int, v T) *Item[T] {
	it := q.item(lane, priority, v)
	l := &q.lanes[lane].levels[priority]
	it.next = l.front
	if l.front != nil {
		l.front.prev = it
	} else {
		l.back = it
	}
	l.front = it
	return it
}

func (q *Queue[T]) item(lane, priority int, v T) *Item[T] {
	q.size++
	q.lanes[lane].size++
	return &Item[T]{Value: v, lane: lane, priority: priority, queued: true}
}

// Pop takes the next item of a lane.
func (q *Queue[T]) Pop(lane int) (v T, ok bool) {
	for p := Levels - 1; p >= 0; p-- {
		if it := q.lanes[lane].levels[p].front; it != nil {
			q.Remove(it)
			return it.Value, true
		}
	}
	return v, false
}

// Remove takes it out of the queue; it reports false if it had left already.
func (q *Queue[T]) Remove(it *Item[T]) bool {
	if !it.queued {
		return false
	}
	l := &q.lanes[it.lane].levels[it.priority]
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		l.front = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		l.back = it.prev
	}
	it.prev, it.next, it.queued = nil, nil, false
	q.lanes[it.lane].size--
	q.size--
	return true
}

// Len returns the number of items over all lanes.
func (q *Queue[T]) Len() int { return q.size }

// LaneLen returns the number of items in one lane.
func (q *Queue[T]) LaneLen(lane int) int { return q.lanes[lane].size }

// Capacity returns the bound on Len that Push keeps.
func (q *Queue[T]) Capacity() int { return q.capacity }

// Put returns how many items Push has taken, Dropped how many it has refused.
func (q *Queue[T]) Put() uint64 { return q.put }

// Dropped returns how many items Push has refused.
func (q *Queue[T]) Dropped() uint64 { return q.dropped }
