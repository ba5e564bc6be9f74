// Package queue is the bounded, prioritised input queue: lanes (one a pool) that
// share one capacity. It is a plain data structure: it has no lock, no goroutine
// and no clock; its owner serialises all calls and says what time it is, by the
// clock on the wall, which may be set either way, and by one that goes on evenly.
//
// Guarantees:
//   - Within a lane the owners (calling uids) take turns. Of what one owner has a higher
//     priority leaves first, and within a priority all leave in the order in which they
//     came. So nobody waits behind all that another has, whatever its priority.
//   - One owner can exhaust its own share of the capacity, not the whole: see package
//     share.
//   - Nothing starves: see Options.Ageing.
//   - An item whose key is at its limit stands aside and holds up nobody. Items
//     with a key that has room are never left aside. Each owner has keys of its own.
//   - No item leaves before its time, nor after its expiry.
//   - Every operation takes O(log n) steps, over time: standing aside is paid for
//     once for each item and each release of its key. What depends on the number of
//     owners beside: to drop another's items, to let in who is blocked, and PopFor.
//
// What an operation does to other items than its own (expiry, a drop, a key that
// has room again) is told by Changes.
package queue

import (
	"math"
	"time"
)

// Levels is the number of priorities, 0 to Levels-1; the highest leaves first.
const Levels = 10

// Policy is what Push does when the queue is full.
type Policy uint8

// The policies for a full queue.
const (
	// Reject fails with ErrFull.
	Reject Policy = iota
	// Block keeps the item outside until there is room; its Place is Blocked until then.
	// Those of one owner enter in their order, and owners in turn.
	Block
	// DropOldest drops items of the lowest priority, the oldest first, or fails with
	// ErrFull if there are too few. Whoever has something drops its own, of a priority
	// that is not above that of the new one. Who has nothing, or whose share is the
	// whole, has the owner with the largest part lose some, of any priority, if it still
	// has at least as much afterwards. Items that wait for their time or have been popped
	// before are not dropped.
	DropOldest
)

// Options is what New and Reconfigure need.
type Options struct {
	// Lanes can be more later, but not fewer.
	Lanes int
	// MaxTasks bounds what waits, over all lanes, MaxBytes that and what is out, and each
	// owner has its share of them. 0 bytes is no bound.
	MaxTasks int
	MaxBytes int64
	Policy   Policy
	// Ageing is how long a priority of an owner's may be passed over in a lane. One that
	// has waited for longer gets every agedTurn-th of its owner's turns, in turn with
	// others that have, until it is served by its own right again. Likewise the oldest item
	// parked for a key goes ahead of all others now and then, once some have been
	// parked for longer. 0 means never.
	Ageing time.Duration
	// KeyLimit returns how many items of one owner with this key may be out at a time, at
	// least 1. Without it every key has the limit 1.
	KeyLimit func(key string) int
}

// Entry describes an item to Push.
type Entry struct {
	Lane     int
	Priority int
	// Owner has its share of the capacity and its turn. Whole: its share is the whole
	// capacity.
	Owner uint32
	Whole bool
	// Key, if not empty, is what the limit of KeyLimit is for.
	Key   string
	Bytes int64
	Times
	// Held has room but waits, whatever the times say, until Settle.
	Held bool
}

// Times say when an item may leave; zero means that there is no such time. An item
// waits for RunAt or for Due: with both, for Due.
type Times struct {
	// RunAt is before when, by the clock on the wall, the item does not leave, and Due
	// the same by Now.Uptime.
	RunAt time.Time
	Due   time.Duration
	// ExpiresAt is when it expires, by the clock on the wall, unless it has left.
	ExpiresAt time.Time
}

// Now is the time of an operation, by both clocks.
type Now struct {
	// Wall may go either way: instants that people give are compared with it.
	Wall time.Time
	// Uptime goes on evenly: durations are measured by it.
	Uptime time.Duration
}

// Queue holds items with values of type T.
type Queue[T any] struct {
	options Options
	lanes   []lane[T]
	// owners are those who have something, and some who had.
	owners map[uint32]*owner[T]
	// outside has those of whom something is blocked.
	outside ring[*owner[T]]
	// instants has the items that wait for one by the clock on the wall, or that expire;
	// dues those that wait for their Due.
	instants, dues heap[T]
	changes        []Change[T]
	// wall and uptime are the time of the operation under way: nanoseconds since 1970,
	// and since the origin of Now.Uptime.
	wall, uptime          int64
	seq                   uint64
	bytes                 int64
	counts                [places]int
	put, dropped, expired uint64
}

// New returns an empty queue.
func New[T any](o Options) *Queue[T] {
	q := &Queue[T]{lanes: make([]lane[T], o.Lanes), owners: map[uint32]*owner[T]{},
		instants: heap[T]{less: earlier[T], index: timerIndex[T]}, dues: heap[T]{less: sooner[T], index: placeIndex[T]}}
	q.options = o
	return q
}

// Push accepts v, or keeps it Blocked, or fails with a FullError or ErrTooLarge and
// counts the drop.
func (q *Queue[T]) Push(now Now, v T, e Entry) (*Item[T], error) {
	q.advance(now)
	it := q.newItem(v, &e)
	switch {
	case q.options.MaxBytes > 0 && it.bytes > q.options.MaxBytes:
		return nil, q.refuse(it, ErrTooLarge)
	case it.owner.blocked.first() == nil && q.fits(it):
	case q.options.Policy == Block:
		q.block(it)
		return it, nil
	case q.options.Policy != DropOldest || !q.makeRoom(it):
		return nil, q.refuse(it, q.full(it))
	}
	q.put++
	q.enter(it)
	return it, nil
}

func (q *Queue[T]) refuse(it *Item[T], why error) error {
	q.dropped++
	q.move(it, Gone)
	q.forget(it.owner)
	return why
}

// Restore takes what has been accepted earlier, before a restart: it is not
// counted and never refused.
func (q *Queue[T]) Restore(now Now, v T, e Entry) *Item[T] {
	q.advance(now)
	it := q.newItem(v, &e)
	q.enter(it)
	return it
}

// Settle lets an item go that was pushed as Held and has been let in since: now
// these times hold. The owner has made sure meanwhile that it may be run at all.
func (q *Queue[T]) Settle(now Now, it *Item[T], when Times) {
	q.advance(now)
	if it.place != Waiting || !it.held {
		panic("queue: an item was settled that is not held")
	}
	it.held = false
	it.setTimes(when)
	q.enter(it)
}

// Changed reports whether Changes would return anything.
func (q *Queue[T]) Changed() bool { return len(q.changes) > 0 }

// Runnable reports whether Pop has an item for the lane.
func (q *Queue[T]) Runnable(now Now, lane int) bool { return q.RunnableFor(now, lane, nil) }

// RunnableFor reports whether PopFor has an item for the lane.
func (q *Queue[T]) RunnableFor(now Now, lane int, allow func(owner uint32) bool) bool {
	q.advance(now)
	return q.next(&q.lanes[lane], allow) != nil
}

// Pop takes the next item of a lane out; nil if there is none now. The item is
// the caller's, who ends it with Remove, or gives it back with Return or Retry.
// Until then it counts against the limit of its key.
func (q *Queue[T]) Pop(now Now, lane int) *Item[T] { return q.PopFor(now, lane, nil) }

// PopFor is Pop among the items of those owners for whom allow is true; nil allows all.
// Who is passed over keeps its turn.
func (q *Queue[T]) PopFor(now Now, lane int, allow func(owner uint32) bool) *Item[T] {
	return q.PopIf(now, lane, allow, nil)
}

// PopIf is PopFor if take is true of what it would pop; nil takes all. Else it returns nil,
// and nothing has changed.
func (q *Queue[T]) PopIf(now Now, lane int, allow func(owner uint32) bool, take func(T) bool) *Item[T] {
	q.advance(now)
	l := &q.lanes[lane]
	it := q.next(l, allow)
	if it == nil || take != nil && !take(it.Value) {
		return nil
	}
	l.served(it, q.uptime)
	q.leave(it, Out)
	it.popped = true
	q.takeKey(it)
	q.admit()
	return it
}

// Return puts a popped item that has not been started back into a lane, where it
// goes before those of its owner and priority that have not been popped yet. It
// never fails, even over capacity, because it has been accepted already.
func (q *Queue[T]) Return(now Now, it *Item[T], lane int) {
	it.begun() // its time has come, wherever the clock on the wall has been set since
	q.giveBack(now, it, lane)
}

// Retry is Return for an item that has been started: it does not expire any
// more, and waits until Now.Uptime is due, unless that is zero.
func (q *Queue[T]) Retry(now Now, it *Item[T], lane int, due time.Duration) {
	it.setTimes(Times{Due: due})
	q.giveBack(now, it, lane)
}

func (q *Queue[T]) giveBack(now Now, it *Item[T], lane int) {
	q.advance(now)
	if it.place != Out {
		panic("queue: an item was given back that is not out") // it would be lost, or there twice
	}
	q.releaseKey(it)
	q.lanes[it.lane].counts[Out]--
	q.lanes[lane].counts[Out]++
	it.lane = uint16(lane)
	q.enter(it)
}

// Remove takes it away for good, wherever it is; one that is out frees its key.
// It reports whether the item was in the queue or blocked.
func (q *Queue[T]) Remove(now Now, it *Item[T]) bool {
	q.advance(now)
	switch it.place {
	case Gone, Expired, Dropped:
		return false
	case Out:
		q.releaseKey(it)
		q.move(it, Gone)
		q.forget(it.owner)
		q.admit() // its bytes are free
		return false
	}
	q.leave(it, Gone)
	q.admit()
	return true
}

// Advance does what either clock has brought: items whose time has come become Ready,
// and those that were not popped in time leave as Expired. All other operations
// that take a time do that, too.
func (q *Queue[T]) Advance(now Now) { q.advance(now) }

func (q *Queue[T]) advance(now Now) {
	q.wall, q.uptime = now.Wall.UnixNano(), int64(now.Uptime)
	expired := q.expired
	for it := q.instants.first(); it != nil && it.when() <= q.wall; it = q.instants.first() {
		if expires := it.rare.expires; expires == 0 || expires > q.wall {
			q.begin(it)
			continue
		}
		from := it.place
		q.leave(it, Expired)
		q.expired++
		q.changed(it, from)
	}
	for it := q.dues.first(); it != nil && it.rare.start <= q.uptime; it = q.dues.first() {
		q.begin(it)
	}
	if q.expired > expired { // all of them, so that who enters does not depend on their order
		q.admit()
	}
}

// begin makes an item ready that has waited for its time.
func (q *Queue[T]) begin(it *Item[T]) {
	q.stopTimers(it)
	it.begun()
	q.enter(it)
	q.changed(it, Waiting)
}

// Next returns when Advance has something to do by the clock on the wall, and when by
// Now.Uptime; zero if it never will.
func (q *Queue[T]) Next() (at time.Time, due time.Duration) {
	if it := q.instants.first(); it != nil {
		at = time.Unix(0, it.when())
	}
	if it := q.dues.first(); it != nil {
		due = time.Duration(it.rare.start)
	}
	return at, due
}

// Reconfigure changes all options. Lanes only get more, and items over a smaller
// capacity stay.
func (q *Queue[T]) Reconfigure(now Now, o Options) {
	q.advance(now)
	o.Lanes = max(o.Lanes, len(q.lanes))
	q.lanes = append(q.lanes, make([]lane[T], o.Lanes-len(q.lanes))...)
	q.options = o
	q.refreshKeys()
	q.admit()
}

// nanos returns t in nanoseconds since 1970, 0 for the zero time; what is too
// far off is as far as can be.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 2200:
		return math.MaxInt64
	case t.Year() < 1970:
		return 1
	}
	return max(1, t.UnixNano())
}
