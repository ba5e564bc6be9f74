package queue

// agedTurn is how rarely a priority that has been passed over for too long goes
// before higher ones: often enough to get on, too rarely to be in their way.
const agedTurn = 8

// keptFlows bounds the empty flows of a level.
const keptFlows = 16

// lane is what waits for one pool.
type lane[T any] struct {
	levels [Levels]level[T]
	counts [places]int
	// turn counts the items popped.
	turn uint64
}

// level is one priority of a lane.
type level[T any] struct {
	flows map[uint32]*flow[T]
	// turn is the flow whose turn it is, in a ring of all that have ready items.
	turn *flow[T]
	// since is when, by the uptime, the level was last served by its own right, or got
	// its first item; aged is the lane's turn when it was last served for its age.
	since int64
	aged  uint64
	// oldest and newest are the ends of those that may be dropped.
	oldest, newest *Item[T]
	listed         int
	listedBytes    int64
}

// flow is what one owner has ready in a level.
type flow[T any] struct {
	owner      uint32
	prev, next *flow[T]
	// again is those that have been at the front before, popped or parked: all of
	// them came before all that are fresh.
	again heap[T]
	fresh list[T]
}

func (f *flow[T]) first() *Item[T] {
	if it := f.again.first(); it != nil {
		return it
	}
	return f.fresh.front
}

// join puts a flow at the end of the ring.
func (l *level[T]) join(f *flow[T]) {
	if l.turn == nil {
		f.prev, f.next, l.turn = f, f, f
		return
	}
	f.prev, f.next = l.turn.prev, l.turn
	f.prev.next, f.next.prev = f, f
}

// part takes an empty flow out of the ring. A few are kept for when their owner
// comes again.
func (l *level[T]) part(f *flow[T]) {
	if l.turn == f {
		l.turn = f.next
	}
	if f.next == f {
		l.turn = nil
	}
	f.prev.next, f.next.prev = f.next, f.prev
	f.prev, f.next = nil, nil
	if len(l.flows) > keptFlows {
		delete(l.flows, f.owner)
	}
}

// flow returns the owner's flow, which is in the ring.
func (l *level[T]) flow(owner uint32) *flow[T] {
	f := l.flows[owner]
	if f == nil {
		if l.flows == nil {
			l.flows = map[uint32]*flow[T]{}
		}
		f = &flow[T]{owner: owner, again: heap[T]{less: older[T], index: placeIndex[T]}}
		l.flows[owner] = f
	}
	if f.next == nil {
		l.join(f)
	}
	return f
}

// add makes it ready. Ahead gives its owner the turn.
func (l *level[T]) add(it *Item[T], now int64, ahead bool) {
	if l.turn == nil {
		l.since = now
	}
	f := l.flow(it.owner)
	if it.popped || it.woken {
		f.again.push(it)
	} else {
		f.fresh.push(it)
	}
	if ahead {
		l.turn = f
	}
}

func (l *level[T]) remove(it *Item[T]) {
	f := l.flows[it.owner]
	if it.at >= 0 {
		f.again.remove(it)
	} else {
		f.fresh.remove(it)
	}
	if f.first() == nil {
		l.part(f)
	}
}

// list adds it to those that may be dropped; they are in the order of their seq.
func (l *level[T]) list(it *Item[T]) {
	it.listed, it.older = true, l.newest
	if l.newest != nil {
		l.newest.newer = it
	} else {
		l.oldest = it
	}
	l.newest = it
	l.listed++
	l.listedBytes += it.size()
}

func (l *level[T]) unlist(it *Item[T]) {
	if it.older != nil {
		it.older.newer = it.newer
	} else {
		l.oldest = it.newer
	}
	if it.newer != nil {
		it.newer.older = it.older
	} else {
		l.newest = it.older
	}
	it.older, it.newer, it.listed = nil, nil, false
	l.listed--
	l.listedBytes -= it.size()
}

// choose returns the level whose turn it is; nil if none has a ready item.
func (l *lane[T]) choose(now, ageing int64) *level[T] {
	var top, aged *level[T]
	for p := Levels - 1; p >= 0; p-- {
		v := &l.levels[p]
		switch {
		case v.turn == nil:
		case top == nil:
			top = v
			if ageing == 0 || (l.turn+1)%agedTurn != 0 {
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

// served notes that it is the next to leave, and gives its level's turn to the
// next owner.
func (l *lane[T]) served(it *Item[T], now int64) {
	l.turn++
	v := &l.levels[it.level]
	v.turn = v.turn.next
	for p := Levels - 1; p > int(it.level); p-- {
		if l.levels[p].turn != nil { // it goes before a higher one
			v.aged = l.turn
			return
		}
	}
	v.since = now
}

// next finds the item to be popped next, and parks those in its way whose key is
// at its limit.
func (q *Queue[T]) next(l *lane[T]) *Item[T] {
	for {
		v := l.choose(q.uptime, int64(q.options.Ageing))
		if v == nil {
			return nil
		}
		it := v.turn.first()
		if q.keyFree(it) {
			return it
		}
		q.park(it)
	}
}
