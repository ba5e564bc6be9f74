package queue

import (
	"errors"
	"fmt"
	"math"

	"cpulb/internal/share"
)

var (
	// ErrFull is matched by what Push returns when there is no room and none can be made:
	// a FullError.
	ErrFull = errors.New("no room in the queue")
	// ErrTooLarge is returned by Push for what would not fit into an empty queue.
	ErrTooLarge = errors.New("larger than the whole queue")
)

// FullError says what there is no room in. It matches ErrFull.
type FullError struct {
	// Share: there is room, but no more of it for the owner.
	Share bool
	// Bytes: the figures are bytes; else items.
	Bytes bool
	// Has is what the owner has, or all owners have together; Most is what it may have now,
	// or they may have.
	Has, Most int64
}

func (e *FullError) Error() string {
	of, unit := "the queue has", "items"
	if e.Share {
		of = "the owner has"
	}
	if e.Bytes {
		unit = "bytes"
	}
	return fmt.Sprintf("%v: %s %d of %d %s", ErrFull, of, e.Has, e.Most, unit)
}

// Is makes a FullError match ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// move notes where it is, and nothing else.
func (q *Queue[T]) move(it *Item[T], to Place) {
	q.count(it, -1)
	it.place = to
	q.count(it, 1)
}

// count counts it, which is where it is, n times more.
func (q *Queue[T]) count(it *Item[T], n int) {
	o := it.owner
	q.counts[it.place] += n
	q.lanes[it.lane].counts[it.place] += n
	o.counts[it.place] += n
	if it.place.heavy() {
		q.bytes += int64(n) * it.bytes
		o.bytes += int64(n) * it.bytes
	}
}

// size is that of some items.
type size struct{ tasks, bytes int64 }

// bound is one that the queue has, and how it stands for an item of n.
type bound struct {
	most, all, own, n int64
	bytes             bool
}

// bounds are those that hold for it, as they would stand if all owners together had so
// much less, and its own.
func (q *Queue[T]) bounds(it *Item[T], all, own size) [2]bound {
	most := q.options.MaxBytes
	if most == 0 {
		most = math.MaxInt64
	}
	o := it.owner
	return [2]bound{
		{int64(q.options.MaxTasks), int64(q.Len()) - all.tasks, int64(o.len()) - own.tasks, 1, false},
		{most, q.bytes - all.bytes, o.bytes - own.bytes, it.bytes, true},
	}
}

// without reports what would keep it out, if they had so much less; ok: nothing.
func (q *Queue[T]) without(it *Item[T], all, own size) (in bound, ok bool) {
	for _, b := range q.bounds(it, all, own) {
		if !share.Fits(b.most, b.all, b.own, b.n, it.whole) {
			return b, false
		}
	}
	return bound{}, true
}

// fits reports whether it may enter.
func (q *Queue[T]) fits(it *Item[T]) bool {
	_, ok := q.without(it, size{}, size{})
	return ok
}

// full says why it may not enter.
func (q *Queue[T]) full(it *Item[T]) error {
	b, _ := q.without(it, size{}, size{})
	return b.error()
}

// error describes why it does not fit.
func (b *bound) error() error {
	if b.all+b.n > b.most {
		return &FullError{Bytes: b.bytes, Has: b.all, Most: b.most}
	}
	return &FullError{Share: true, Bytes: b.bytes, Has: b.own, Most: share.Most(b.most, b.all-b.own)}
}

// enter takes it in, to wait for its time or ready at once.
func (q *Queue[T]) enter(it *Item[T]) {
	if !it.popped { // one that has been keeps its place
		q.seq++
		it.seq = q.seq
	}
	if it.held || it.awaits(q.wall, q.uptime) {
		q.move(it, Waiting)
	} else {
		if !it.popped {
			it.owner.list(it)
		}
		q.addReady(it)
		q.move(it, Ready)
	}
	q.startTimers(it)
}

// startTimers arms the next of the times that it has, by each clock.
func (q *Queue[T]) startTimers(it *Item[T]) {
	if it.when() != 0 {
		q.instants.push(it)
	}
	if it.awaitsDue() {
		q.dues.push(it)
	}
}

func (q *Queue[T]) stopTimers(it *Item[T]) {
	if it.rare != nil && it.rare.timer >= 0 {
		q.instants.remove(it)
	}
	if it.place == Waiting && it.at >= 0 {
		q.dues.remove(it)
	}
}

// leave takes it from where it is, blocked or in the queue.
func (q *Queue[T]) leave(it *Item[T], to Place) {
	q.stopTimers(it)
	switch it.place {
	case Blocked:
		q.unblock(it)
	case Ready:
		q.removeReady(it)
	case Parked:
		q.unpark(it)
	}
	if it.listed {
		it.owner.unlist(it)
	}
	q.move(it, to)
	if it.woken && to != Out {
		q.replace(it)
	}
	it.woken, it.level = false, it.priority
	q.forget(it.owner)
}

// block keeps it outside until there is room.
func (q *Queue[T]) block(it *Item[T]) {
	o := it.owner
	if o.blocked.first() == nil {
		q.outside.join(&o.outside)
	}
	o.blocked.push(it)
	q.move(it, Blocked)
	q.startTimers(it)
}

func (q *Queue[T]) unblock(it *Item[T]) {
	o := it.owner
	if o.blocked.remove(it); o.blocked.first() == nil {
		q.outside.part(&o.outside)
	}
}

// admit lets in those who are blocked, as far as there is room: one of each owner in turn,
// and those of an owner in their order.
func (q *Queue[T]) admit() {
	for passed := 0; passed < q.outside.size && q.Len() < q.options.MaxTasks; {
		o := q.outside.turn.of
		it := o.blocked.first()
		if q.outside.pass(&o.outside); !q.fits(it) {
			passed++
			continue
		}
		passed = 0
		q.stopTimers(it)
		q.unblock(it)
		q.put++
		q.enter(it)
		q.changed(it, Blocked)
	}
}

// Stats is what the queue has and has seen.
type Stats struct {
	// Waiting, Ready and Parked are in the queue, Blocked before it; Out have been
	// popped and not yet ended.
	Waiting, Ready, Parked, Blocked, Out int
	// Bytes are of all but those that are Blocked.
	Bytes int64
	// Put counts what Push accepted, Dropped what it refused or dropped for newer
	// ones, Expired what was not popped in time.
	Put, Dropped, Expired uint64
}

// Stats returns the figures of all lanes together.
func (q *Queue[T]) Stats() Stats {
	return Stats{Waiting: q.counts[Waiting], Ready: q.counts[Ready], Parked: q.counts[Parked], Blocked: q.counts[Blocked],
		Out: q.counts[Out], Bytes: q.bytes, Put: q.put, Dropped: q.dropped, Expired: q.expired}
}

func length(counts *[places]int) int { return counts[Waiting] + counts[Ready] + counts[Parked] }

// Len returns the number of items in the queue, over all lanes.
func (q *Queue[T]) Len() int { return length(&q.counts) }

// LaneLen returns the number of items in one lane.
func (q *Queue[T]) LaneLen(lane int) int { return length(&q.lanes[lane].counts) }

// Capacity returns the bound on Len that Push keeps.
func (q *Queue[T]) Capacity() int { return q.options.MaxTasks }
