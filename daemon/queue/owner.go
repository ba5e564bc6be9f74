package queue

import (
	"cmp"
	"slices"
)

// keptOwners bounds the owners of nothing that are kept for when they come again.
const keptOwners = 16

// owner is what one has in the queue, before it and out, by which its share is measured.
type owner[T any] struct {
	uid    uint32
	counts [places]int
	bytes  int64
	// flows are what it has ready, by lane, and shorter than the lanes if it has none in
	// the last.
	flows []*flow[T]
	// blocked is in its order; outside is the owner's place among those who have some.
	blocked line[T]
	outside seat[*owner[T]]
	// keys are there only while an item with the key is out or parked.
	keys map[string]*key[T]
	// disposable are the items that may be dropped, by their priority.
	disposable [Levels]spare[T]
}

func (q *Queue[T]) owner(uid uint32) *owner[T] {
	o := q.owners[uid]
	if o == nil {
		o = &owner[T]{uid: uid, keys: map[string]*key[T]{}}
		o.outside.of = o
		q.owners[uid] = o
	}
	return o
}

// forget lets go of an owner who has nothing any more.
func (q *Queue[T]) forget(o *owner[T]) {
	if len(q.owners) > keptOwners && o.len()+o.counts[pushed]+o.counts[Blocked]+o.counts[Out] == 0 {
		delete(q.owners, o.uid)
	}
}

// len is how many items it has in the queue.
func (o *owner[T]) len() int { return length(&o.counts) }

// flow returns what it has ready in a lane.
func (o *owner[T]) flow(lane uint16) *flow[T] {
	for len(o.flows) <= int(lane) {
		o.flows = append(o.flows, nil)
	}
	if o.flows[lane] == nil {
		o.flows[lane] = newFlow(o)
	}
	return o.flows[lane]
}

// droppable is what of it may be dropped, of this priority at most.
func (o *owner[T]) droppable(most int) (tasks int, bytes int64) {
	for p := range most + 1 {
		tasks += o.disposable[p].count
		bytes += o.disposable[p].bytes
	}
	return tasks, bytes
}

// leastWanted returns the oldest of the lowest priority that may be dropped.
func (o *owner[T]) leastWanted() *Item[T] {
	for p := range o.disposable {
		if o.disposable[p].count > 0 {
			return o.oldest(p)
		}
	}
	return nil
}

// oldest returns the oldest of a priority that may be dropped: it is the first of those that
// are fresh in one of the lanes, or a stray.
func (o *owner[T]) oldest(priority int) *Item[T] {
	it := o.disposable[priority].strays.first()
	for _, f := range o.flows {
		if f == nil {
			continue
		}
		if fresh := f.levels[priority].fresh.first(); fresh != nil && (it == nil || fresh.seq < it.seq) {
			it = fresh
		}
	}
	return it
}

// spare are those items of one priority that may be dropped. They are fresh in their lanes,
// but for the strays: those that have been parked. So they need no list of their own, which
// would cost each of a million two pointers.
type spare[T any] struct {
	count  int
	bytes  int64
	strays heap[T]
}

// list has it, which is fresh, be among those that may be dropped.
func (o *owner[T]) list(it *Item[T]) {
	it.listed = true
	l := &o.disposable[it.priority]
	l.count++
	l.bytes += it.bytes
}

// strays notes that it is not fresh any more, if it is among them.
func (o *owner[T]) strays(it *Item[T]) {
	if !it.listed || it.rare.stray >= 0 {
		return
	}
	l := &o.disposable[it.priority]
	if l.strays.less == nil {
		l.strays = heap[T]{less: older[T], index: strayIndex[T]}
	}
	l.strays.push(it)
}

func (o *owner[T]) unlist(it *Item[T]) {
	it.listed = false
	l := &o.disposable[it.priority]
	l.count--
	l.bytes -= it.bytes
	if it.rare != nil && it.rare.stray >= 0 {
		l.strays.remove(it)
	}
}

// Part is what one owner has in the queue, and the bytes also of what it has out.
type Part struct {
	Owner uint32
	Tasks int
	Bytes int64
}

// Parts returns what each owner has, the largest part first, whether of the tasks or of the
// bytes.
func (q *Queue[T]) Parts() []Part {
	var all []Part
	for uid, o := range q.owners {
		if n := o.len(); n > 0 || o.bytes > 0 {
			all = append(all, Part{uid, n, o.bytes})
		}
	}
	of := func(p Part) float64 {
		tasks := float64(p.Tasks) / float64(q.options.MaxTasks)
		if q.options.MaxBytes == 0 {
			return tasks
		}
		return max(tasks, float64(p.Bytes)/float64(q.options.MaxBytes))
	}
	slices.SortFunc(all, func(a, b Part) int { return cmp.Or(cmp.Compare(of(b), of(a)), cmp.Compare(a.Owner, b.Owner)) })
	return all
}
