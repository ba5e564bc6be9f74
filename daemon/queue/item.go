package queue

import "time"

// Place is where an item is.
type Place uint8

// The places of an item.
const (
	// Gone: removed by its owner.
	Gone Place = iota
	// Blocked: not accepted yet; outside of the capacity.
	Blocked
	// Waiting: for its time.
	Waiting
	// Ready: to be popped.
	Ready
	// Parked: its key was at the limit when its turn came.
	Parked
	// Out: popped.
	Out
	// Expired: not popped in time. Dropped: made room for a newer one.
	Expired
	Dropped
	// pushed: it is being pushed.
	pushed
	places
)

// inside reports whether an item there is in the queue.
func (p Place) inside() bool { return p == Waiting || p == Ready || p == Parked }

// heavy reports whether the bytes of an item there count: also while it is out, as it is
// in memory until it has ended.
func (p Place) heavy() bool { return p.inside() || p == Out }

// Item is one place in the queue. A million may wait: keep it small.
type Item[T any] struct {
	Value T
	// prev and next are its neighbours among the fresh items of its level, or among
	// those that are blocked; older and newer among those of its priority that may be
	// dropped. All of them have its owner.
	prev, next   *Item[T]
	older, newer *Item[T]
	owner        *owner[T]
	key          string
	seq          uint64
	// start is before when it does not leave, by the uptime or by the clock on the wall,
	// and expires is by the latter, both in nanoseconds; 0 means none.
	start, expires int64
	bytes          int64
	// Its index in the instants; in the dues, the heap of its level or that of the best of
	// its key; and in that of the oldest of its key; -1 if it is not there.
	timer, at, age int32
	lane           uint16
	priority       uint8
	// level is where it is ready: its priority, unless it has been parked too long.
	level  uint8
	place  Place
	popped bool // it has been out before
	listed bool // among those that may be dropped
	woken  bool // it has been parked since it was last out
	even   bool // start is by the uptime
	held   bool // it waits for Settle
	whole  bool // its owner's share is the whole queue
}

func (q *Queue[T]) newItem(v T, e *Entry) *Item[T] {
	it := &Item[T]{Value: v, owner: q.owner(e.Owner), key: e.Key, timer: -1, at: -1, age: -1, held: e.Held, whole: e.Whole,
		bytes: max(e.Bytes, 0), lane: uint16(e.Lane), priority: uint8(e.Priority), level: uint8(e.Priority)}
	if !e.Held {
		it.setTimes(e.Times)
	}
	it.place = pushed
	q.count(it, 1)
	return it
}

func (it *Item[T]) setTimes(t Times) {
	it.start, it.expires, it.even = nanos(t.RunAt), nanos(t.ExpiresAt), t.Due != 0
	if it.even {
		it.start = int64(t.Due)
	}
}

// awaits reports whether it has to wait for its time.
func (it *Item[T]) awaits(wall, uptime int64) bool {
	if it.even {
		return it.start > uptime
	}
	return it.start > wall
}

// when is the next of its times by the clock on the wall; it must not be in the
// instants when that changes.
func (it *Item[T]) when() int64 {
	if it.place == Waiting && !it.even && it.start != 0 && (it.expires == 0 || it.start < it.expires) {
		return it.start
	}
	return it.expires
}

// Due returns until when, by the uptime, it waits for that; 0: it does not.
func (it *Item[T]) Due() time.Duration {
	if it.place != Waiting || !it.even {
		return 0
	}
	return time.Duration(it.start)
}

// Place returns where the item is.
func (it *Item[T]) Place() Place { return it.place }

// Change is what an operation did to an item that was not its own.
type Change[T any] struct {
	Item *Item[T]
	// From Blocked means that it has been accepted.
	From, To Place
}

// Changes returns what has happened to items since it was called last, other
// than the one that each operation was asked for.
func (q *Queue[T]) Changes() []Change[T] {
	c := q.changes
	q.changes = nil
	return c
}

func (q *Queue[T]) changed(it *Item[T], from Place) {
	q.changes = append(q.changes, Change[T]{it, from, it.place})
}

// list is a doubly linked list over prev and next.
type list[T any] struct{ front, back *Item[T] }

func (l *list[T]) push(it *Item[T]) {
	it.prev, it.next = l.back, nil
	if l.back != nil {
		l.back.next = it
	} else {
		l.front = it
	}
	l.back = it
}

func (l *list[T]) remove(it *Item[T]) {
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
	it.prev, it.next = nil, nil
}
