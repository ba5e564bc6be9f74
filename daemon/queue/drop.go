package queue

// makeRoom drops as many as it takes to let newest in, or none.
func (q *Queue[T]) makeRoom(newest *Item[T]) bool {
	o, most := q.loser(newest)
	tasks, bytes := o.droppable(most)
	all := size{int64(tasks), bytes}
	own := all
	if o != newest.owner {
		own = size{}
	}
	if _, ok := q.without(newest, all, own); !ok {
		return false
	}
	for !q.fits(newest) {
		it := o.leastWanted()
		from := it.place
		q.leave(it, Dropped)
		q.dropped++
		q.changed(it, from)
	}
	return true
}

// loser returns whose items go so that newest can enter, and up to which priority.
//
// Whoever has something drops its own, up to the new one's priority. Only who has nothing,
// or whose share is the whole, makes another lose some: the one who has most, and would
// still have at least as much afterwards. Priorities are not compared then, as each
// owner gives them as it likes.
func (q *Queue[T]) loser(newest *Item[T]) (o *owner[T], most int) {
	own := newest.owner
	in, _ := q.without(newest, size{}, size{})
	missing := in.all + in.n - in.most
	if missing <= 0 || in.own > 0 && !newest.whole {
		return own, int(newest.priority)
	}
	o = own
	for _, other := range q.owners {
		has, than := other.part(in.bytes), o.part(in.bytes)
		if other != own && (o == own || has > than || has == than && other.uid < o.uid) && other.mayLose(missing, in.bytes) {
			o = other
		}
	}
	if o == own || o.part(in.bytes)-missing < in.own+in.n {
		return own, int(newest.priority)
	}
	return o, Levels - 1
}

// part is how many it has in the queue, or how many bytes, in it or out.
func (o *owner[T]) part(bytes bool) int64 {
	if bytes {
		return o.bytes
	}
	return int64(o.len())
}

// mayLose reports whether so much of it may be dropped.
func (o *owner[T]) mayLose(n int64, inBytes bool) bool {
	tasks, bytes := o.droppable(Levels - 1)
	if inBytes {
		return bytes >= n
	}
	return int64(tasks) >= n
}
