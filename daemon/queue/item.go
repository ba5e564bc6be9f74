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

// Item is one place in the queue. A million may wait: keep it small, and with few pointers,
// each of which Go's collector follows.
type Item[T any] struct {
	Value T
	owner *owner[T]
	rare  *rare // nil: it has none of that
	seq   uint64
	bytes int64
	// Its index in the dues, the heap of its level or that of the best of its key, or its number
	// among the fresh of its level or those that are blocked.
	at       int32
	lane     uint16
	priority uint8
	// level is where it is ready: its priority, unless it has been parked too long.
	level  uint8
	place  Place
	popped bool // it has been out before
	fresh  bool // among the fresh of its level
	listed bool // among those that may be dropped
	woken  bool // it has been parked since it was last out
	held   bool // it waits for Settle
	whole  bool // its owner's share is the whole queue
}

// rare is what few items have: a time, or a key.
type rare struct {
	key string
	// start is before when it does not leave, by the uptime or by the clock on the wall,
	// and expires is by the latter, both in nanoseconds; 0 means none.
	start, expires int64
	// Its index in the instants, in the oldest of its key and among the strays of its
	// priority; -1 if it is not there.
	timer, age, stray int32
	even              bool // start is by the uptime
}

// Roomy is implemented by a value that has room for its item in itself: one object in
// memory rather than two for each that waits.
type Roomy[T any] interface {
	// Room returns that room, or nil if it has been given away.
	Room() *Item[T]
}

func (q *Queue[T]) newItem(v T, e *Entry) *Item[T] {
	it := room(v)
	*it = Item[T]{Value: v, owner: q.owner(e.Owner), at: -1, held: e.Held, whole: e.Whole,
		bytes: max(e.Bytes, 0), lane: uint16(e.Lane), priority: uint8(e.Priority), level: uint8(e.Priority)}
	if e.Key != "" {
		it.needRare().key = e.Key
	}
	if !e.Held {
		it.setTimes(e.Times)
	}
	it.place = pushed
	q.count(it, 1)
	return it
}

// room returns where the item of v is to be.
func room[T any](v T) *Item[T] {
	if r, ok := any(v).(Roomy[T]); ok {
		if it := r.Room(); it != nil && it.owner == nil { // which was never used
			return it
		}
	}
	return &Item[T]{}
}

func (it *Item[T]) needRare() *rare {
	if it.rare == nil {
		it.rare = &rare{timer: -1, age: -1, stray: -1}
	}
	return it.rare
}

func (it *Item[T]) setTimes(t Times) {
	if it.rare == nil && t == (Times{}) {
		return
	}
	r := it.needRare()
	r.start, r.expires, r.even = nanos(t.RunAt), nanos(t.ExpiresAt), t.Due != 0
	if r.even {
		r.start = int64(t.Due)
	}
}

// begun has it wait for no time any more.
func (it *Item[T]) begun() {
	if it.rare != nil {
		it.rare.start = 0
	}
}

// awaits reports whether it has to wait for its time.
func (it *Item[T]) awaits(wall, uptime int64) bool {
	switch r := it.rare; {
	case r == nil:
		return false
	case r.even:
		return r.start > uptime
	default:
		return r.start > wall
	}
}

// when is the next of its times by the clock on the wall; it must not be in the
// instants when that changes.
func (it *Item[T]) when() int64 {
	r := it.rare
	if r == nil {
		return 0
	}
	if it.place == Waiting && !r.even && r.start != 0 && (r.expires == 0 || r.start < r.expires) {
		return r.start
	}
	return r.expires
}

// awaitsDue reports whether it waits for a time by the uptime.
func (it *Item[T]) awaitsDue() bool { return it.place == Waiting && it.rare != nil && it.rare.even }

// Due returns until when, by the uptime, it waits for that; 0: it does not.
func (it *Item[T]) Due() time.Duration {
	if !it.awaitsDue() {
		return 0
	}
	return time.Duration(it.rare.start)
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
