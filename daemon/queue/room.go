package queue

// levelOf is where it is ready, listOf where it may be dropped from.
func (q *Queue[T]) levelOf(it *Item[T]) *level[T] { return &q.lanes[it.lane].levels[it.level] }
func (q *Queue[T]) listOf(it *Item[T]) *level[T]  { return &q.lanes[it.lane].levels[it.priority] }

// move notes where it is, and nothing else.
func (q *Queue[T]) move(it *Item[T], to Place) {
	for _, counts := range []*[places]int{&q.counts, &q.lanes[it.lane].counts} {
		counts[it.place]--
		counts[to]++
	}
	it.place = to
}

// fits reports whether it may enter.
func (q *Queue[T]) fits(it *Item[T]) bool {
	return q.Len() < q.options.MaxTasks && (q.options.MaxBytes == 0 || q.bytes+it.size() <= q.options.MaxBytes)
}

// enter takes it in, to wait for its time or ready at once.
func (q *Queue[T]) enter(it *Item[T]) {
	q.bytes += it.size()
	if !it.popped { // one that has been keeps its place
		q.seq++
		it.seq = q.seq
	}
	if it.held || it.awaits(q.wall, q.uptime) {
		q.move(it, Waiting)
	} else {
		if !it.popped {
			q.listOf(it).list(it)
		}
		q.levelOf(it).add(it, q.uptime, false)
		q.move(it, Ready)
	}
	q.startTimers(it)
}

// startTimers arms the next of the times that it has, by each clock.
func (q *Queue[T]) startTimers(it *Item[T]) {
	if it.when() != 0 {
		q.instants.push(it)
	}
	if it.place == Waiting && it.even {
		q.dues.push(it)
	}
}

func (q *Queue[T]) stopTimers(it *Item[T]) {
	if it.timer >= 0 {
		q.instants.remove(it)
	}
	if it.place == Waiting && it.at >= 0 {
		q.dues.remove(it)
	}
}

// leave takes it from where it is, blocked or in the queue.
func (q *Queue[T]) leave(it *Item[T], to Place) {
	q.stopTimers(it)
	from := it.place
	if from == Blocked {
		q.blocked.remove(it)
	} else {
		q.bytes -= it.size()
	}
	switch from {
	case Ready:
		q.levelOf(it).remove(it)
	case Parked:
		q.unpark(it)
	}
	if it.listed {
		q.listOf(it).unlist(it)
	}
	q.move(it, to)
	if it.woken && to != Out {
		q.replace(it)
	}
	it.woken, it.level = false, it.priority
}

// block keeps it outside until there is room.
func (q *Queue[T]) block(it *Item[T]) {
	q.blocked.push(it)
	q.move(it, Blocked)
	q.startTimers(it)
}

// admit lets in those who are blocked, in their order, as far as there is room.
func (q *Queue[T]) admit() {
	for it := q.blocked.front; it != nil && q.fits(it); it = q.blocked.front {
		q.stopTimers(it)
		q.blocked.remove(it)
		q.put++
		q.enter(it)
		q.changed(it, Blocked)
	}
}

// makeRoom drops as many as it takes to let newest in, or none.
func (q *Queue[T]) makeRoom(newest *Item[T]) bool {
	tasks, bytes := q.Len()+1-q.options.MaxTasks, q.bytes+newest.size()-q.options.MaxBytes
	for i := range q.lanes {
		for p := range int(newest.priority) + 1 {
			tasks -= q.lanes[i].levels[p].listed
			bytes -= q.lanes[i].levels[p].listedBytes
		}
	}
	if tasks > 0 || q.options.MaxBytes > 0 && bytes > 0 {
		return false
	}
	for !q.fits(newest) {
		it := q.leastWanted()
		from := it.place
		q.leave(it, Dropped)
		q.dropped++
		q.changed(it, from)
	}
	return true
}

// leastWanted returns the oldest of the lowest priority that may be dropped.
func (q *Queue[T]) leastWanted() *Item[T] {
	for p := range Levels {
		var found *Item[T]
		for i := range q.lanes {
			if it := q.lanes[i].levels[p].oldest; it != nil && (found == nil || it.seq < found.seq) {
				found = it
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// Stats is what the queue has and has seen.
type Stats struct {
	// Waiting, Ready and Parked are in the queue, Blocked before it; Out have been
	// popped and not yet ended.
	Waiting, Ready, Parked, Blocked, Out int
	Bytes                                int64
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
