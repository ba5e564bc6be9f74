package queue

// key is the state of a concurrency key, which is its owner's alone. It is there only
// while an item with the key is out or parked.
//
// Every release wakes the best of those parked in each lane. So for each parked
// item there are always at least as many better ones ready as the key has room:
// none that could run is left aside, and none is woken more than once for each
// release.
type key[T any] struct {
	out, limit int
	// parked is by lane, and shorter than the lanes if the last have none.
	parked []parked[T]
}

// parked is what waits for one key in one lane.
type parked[T any] struct {
	best, oldest heap[T]
	// since is when, by the uptime, the first was parked after there had been none.
	since int64
	wakes uint
}

func (p *parked[T]) add(it *Item[T], now int64) {
	if p.best.first() == nil {
		p.since = now
	}
	p.best.push(it)
	p.oldest.push(it)
}

func (p *parked[T]) remove(it *Item[T]) {
	p.best.remove(it)
	p.oldest.remove(it)
}

func (q *Queue[T]) limitOf(name string) int {
	if q.options.KeyLimit == nil {
		return 1
	}
	return max(1, q.options.KeyLimit(name))
}

func (q *Queue[T]) keyFree(it *Item[T]) bool {
	if it.rare == nil || it.rare.key == "" {
		return true
	}
	k := it.owner.keys[it.rare.key]
	return k == nil || k.out < k.limit
}

// takeKey counts it, which is out now, against its key.
func (q *Queue[T]) takeKey(it *Item[T]) {
	if it.rare == nil || it.rare.key == "" {
		return
	}
	k := it.owner.keys[it.rare.key]
	if k == nil {
		k = &key[T]{limit: q.limitOf(it.rare.key)}
		it.owner.keys[it.rare.key] = k
	}
	k.out++
}

// releaseKey is the opposite of takeKey.
func (q *Queue[T]) releaseKey(it *Item[T]) {
	if it.rare == nil || it.rare.key == "" {
		return
	}
	k := it.owner.keys[it.rare.key]
	k.out--
	for i := range k.parked {
		q.wake(k, i)
	}
	it.owner.dropKey(it.rare.key, k)
}

// park takes a ready item aside; its key is at its limit.
func (q *Queue[T]) park(it *Item[T]) {
	k := it.owner.keys[it.rare.key]
	for len(k.parked) <= int(it.lane) {
		k.parked = append(k.parked, parked[T]{best: heap[T]{less: better[T], index: placeIndex[T]},
			oldest: heap[T]{less: older[T], index: ageIndex[T]}})
	}
	q.removeReady(it)
	it.owner.strays(it)
	k.parked[it.lane].add(it, q.uptime)
	it.woken, it.level = false, it.priority
	q.move(it, Parked)
	q.changed(it, Ready)
}

// wake makes the best of those parked in a lane ready, or now and then the
// oldest, ahead of all others of its owner. It reports whether there was one.
func (q *Queue[T]) wake(k *key[T], lane int) bool {
	p := &k.parked[lane]
	it := p.best.first()
	if it == nil {
		return false
	}
	p.wakes++
	if q.options.Ageing > 0 && p.wakes%agedTurn == 0 && q.uptime-p.since >= int64(q.options.Ageing) {
		it = p.oldest.first()
		it.level = Levels - 1
	}
	p.remove(it)
	it.woken = true
	q.addReady(it)
	q.move(it, Ready)
	q.changed(it, Parked)
	return true
}

// unpark takes a parked item out for good.
func (q *Queue[T]) unpark(it *Item[T]) {
	k := it.owner.keys[it.rare.key]
	k.parked[it.lane].remove(it)
	it.owner.dropKey(it.rare.key, k)
}

// replace wakes another item for one that had been woken and will not use it.
func (q *Queue[T]) replace(it *Item[T]) {
	it.woken = false
	if k := it.owner.keys[it.rare.key]; k != nil && len(k.parked) > int(it.lane) {
		q.wake(k, int(it.lane))
		it.owner.dropKey(it.rare.key, k)
	}
}

// dropKey forgets a key of which nothing is out or parked.
func (o *owner[T]) dropKey(name string, k *key[T]) {
	if k.out > 0 {
		return
	}
	for i := range k.parked {
		if k.parked[i].best.first() != nil {
			return
		}
	}
	delete(o.keys, name)
}

// refreshKeys asks for all limits again and wakes as many as they allow.
func (q *Queue[T]) refreshKeys() {
	for _, o := range q.owners {
		for name, k := range o.keys {
			more := q.limitOf(name) - k.limit
			k.limit += more
			for i := range k.parked {
				for n := 0; n < more && q.wake(k, i); n++ {
				}
			}
		}
	}
}
