package queue

// agedTurn is how rarely a priority that has been passed over for too long goes
// before higher ones: often enough to get on, too rarely to be in their way.
const agedTurn = 8

// lane is what waits for one pool.
type lane[T any] struct {
	// flows has those with ready items.
	flows  ring[*flow[T]]
	counts [places]int
}

// flow is what one owner has ready in a lane.
type flow[T any] struct {
	owner  *owner[T]
	seat   seat[*flow[T]]
	levels [Levels]level[T]
	count  int
	// turn counts the items popped.
	turn uint64
}

// level is one priority of a flow.
type level[T any] struct {
	// again is those that have been at the front before, popped or parked: all of
	// them came before all that are fresh.
	again heap[T]
	fresh line[T]
	// since is when, by the uptime, the level was last served by its own right, or got
	// its first item; aged is the flow's turn when it was last served for its age.
	since int64
	aged  uint64
}

func newFlow[T any](o *owner[T]) *flow[T] {
	f := &flow[T]{owner: o}
	f.seat.of = f
	for p := range f.levels {
		f.levels[p].again = heap[T]{less: older[T], index: placeIndex[T]}
	}
	return f
}

func (l *level[T]) first() *Item[T] {
	if it := l.again.first(); it != nil {
		return it
	}
	return l.fresh.first()
}

// addReady makes it ready in its lane.
func (q *Queue[T]) addReady(it *Item[T]) {
	f := it.owner.flow(it.lane)
	if f.count++; f.count == 1 {
		q.lanes[it.lane].flows.join(&f.seat)
	}
	l := &f.levels[it.level]
	if l.first() == nil {
		l.since = q.uptime
	}
	if it.fresh = !it.popped && !it.woken; it.fresh {
		l.fresh.push(it)
	} else {
		l.again.push(it)
	}
}

func (q *Queue[T]) removeReady(it *Item[T]) {
	f := it.owner.flow(it.lane)
	l := &f.levels[it.level]
	if it.fresh {
		it.fresh = false
		l.fresh.remove(it)
	} else {
		l.again.remove(it)
	}
	if f.count--; f.count == 0 {
		q.lanes[it.lane].flows.part(&f.seat)
	}
}

// choose returns the level whose turn it is; nil if none has a ready item.
func (f *flow[T]) choose(now, ageing int64) *level[T] {
	var top, aged *level[T]
	for p := Levels - 1; p >= 0; p-- {
		v := &f.levels[p]
		switch {
		case v.first() == nil:
		case top == nil:
			top = v
			if ageing == 0 || (f.turn+1)%agedTurn != 0 {
				return top
			}
		case now-v.since >= ageing && (aged == nil || v.aged < aged.aged):
			aged = v
		}
	}
	if aged != nil {
		return aged
	}
	return top
}

// served notes that it is the next to leave, and gives the turn to the next owner.
func (l *lane[T]) served(it *Item[T], now int64) {
	f := it.owner.flow(it.lane)
	l.flows.pass(&f.seat)
	f.turn++
	v := &f.levels[it.level]
	for p := Levels - 1; p > int(it.level); p-- {
		if f.levels[p].first() != nil { // it goes before a higher one
			v.aged = f.turn
			return
		}
	}
	v.since = now
}

// next finds the item to be popped next, of an owner for whom allow is true; nil allows
// all.
func (q *Queue[T]) next(l *lane[T], allow func(owner uint32) bool) *Item[T] {
	s := l.flows.turn
	for range l.flows.size {
		f, after := s.of, s.next // of which none leaves when f does
		if allow == nil || allow(f.owner.uid) {
			if it := q.nextOf(f); it != nil {
				return it
			}
		}
		s = after
	}
	return nil
}

// nextOf finds the item of f to be popped next, and parks those in its way whose key is
// at its limit.
func (q *Queue[T]) nextOf(f *flow[T]) *Item[T] {
	for {
		v := f.choose(q.uptime, int64(q.options.Ageing))
		if v == nil {
			return nil
		}
		it := v.first()
		if q.keyFree(it) {
			return it
		}
		q.park(it)
	}
}
