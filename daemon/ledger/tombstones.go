package ledger

import (
	"slices"
	"time"

	"cpulb/daemon/task"
	"cpulb/internal/table"
)

// maxTombstones bounds how many evicted tasks are remembered.
const maxTombstones = 100_000

// Tombstone is what is remembered of a task whose Result is no longer kept. If that had its
// time, it is the id. If it had to make room before, the task is not run again by mistake:
// until its time is over its id and its key are refused.
type Tombstone struct {
	ID    task.ID
	Owner uint32
	// Pressed: it had to make room. All that follows is set only then.
	Pressed bool
	// Volatile: it does not outlive the daemon.
	Volatile bool
	// Key is its idempotency key, Stamp as of the Record.
	Key   string
	Stamp int64
	// Made is the uptime at which it made room, Until that at which its time is over.
	Made, Until time.Duration
}

// tombstones are all of them, at most so many. If there are too many the oldest goes of
// whoever has most. Each has a number, by age; as most of what is kept, they have no pointers.
type tombstones struct {
	bound int
	made  int64 // the number of the last
	all   table.Table[tomb]
	// ids finds the number of the last with an id, older the others of that id, which are of
	// other owners.
	ids   ids
	older map[task.ID][]int64
	// keys are the idempotency keys of those that have one, byKey finds them.
	keys   map[int64]string
	byKey  map[ownKey]int64
	owners map[uint32]*ownTombstones
	most   ranked[*ownTombstones]
	// ends has the numbers of those that are Pressed, by when their time is over.
	ends ordered
}

// tomb is a Tombstone but for its key.
type tomb struct {
	id                task.ID
	stamp             int64
	made, until       time.Duration
	owner             uint32
	pressed, volatile bool
}

// ownTombstones is the tombstones of one owner, by their numbers.
type ownTombstones struct {
	owner  uint32
	all    ordered
	inMost int
}

func newTombstones() tombstones {
	return tombstones{bound: maxTombstones, ids: newIDs(), older: map[task.ID][]int64{}, keys: map[int64]string{},
		byKey: map[ownKey]int64{}, owners: map[uint32]*ownTombstones{},
		most: ranked[*ownTombstones]{less: func(a, b *ownTombstones) bool { return a.all.len() > b.all.len() }, place: func(p *ownTombstones) *int { return &p.inMost }}}
}

// tombstone returns it as others see it.
func (x *tombstones) tombstone(number int64) Tombstone {
	t := x.all.At(number)
	return Tombstone{ID: t.id, Owner: t.owner, Pressed: t.pressed, Volatile: t.volatile, Key: x.keys[number], Stamp: t.stamp, Made: t.made, Until: t.until}
}

// add adds g, and returns those that were Pressed and went for it.
func (x *tombstones) add(g Tombstone) (gone []Tombstone) {
	if old := x.find(g.ID, g.Owner); old != 0 {
		gone = x.take(old, gone)
	}
	p := x.owners[g.Owner]
	if p == nil {
		p = &ownTombstones{owner: g.Owner}
		x.owners[g.Owner] = p
		x.most.add(p)
	}
	x.made++
	x.put(x.made, g)
	p.all.add(entry{by: x.made})
	x.most.moved(p)
	for x.all.Len() > x.bound {
		gone = x.take(x.most.first().all.first().by, gone)
	}
	return gone
}

// put gives g a number.
func (x *tombstones) put(number int64, g Tombstone) {
	x.all.Set(number, tomb{g.ID, g.Stamp, g.Made, g.Until, g.Owner, g.Pressed, g.Volatile})
	if old, ok := x.ids.get(g.ID); ok {
		x.older[g.ID] = append(x.older[g.ID], old)
	}
	x.ids.set(g.ID, number)
	if !g.Pressed {
		return
	}
	x.ends.add(entry{int64(g.Until), number})
	if g.Key != "" {
		x.keys[number] = g.Key
		x.byKey[ownKey{g.Owner, g.Key}] = number
	}
}

// take takes one out, and adds it to gone if it was Pressed.
func (x *tombstones) take(number int64, gone []Tombstone) []Tombstone {
	t := x.all.At(number)
	p := x.owners[t.owner]
	p.all.take(entry{by: number})
	x.most.moved(p)
	if p.all.len() == 0 {
		x.most.take(p)
		delete(x.owners, p.owner)
	}
	x.takeID(t.id, number)
	if t.pressed {
		gone = append(gone, x.tombstone(number))
		x.release(number)
	}
	x.all.Remove(number)
	return gone
}

// takeID has an id not lead to a number any more.
func (x *tombstones) takeID(id task.ID, number int64) {
	older := x.older[id]
	last, _ := x.ids.get(id)
	switch {
	case len(older) == 0:
		x.ids.remove(id)
		return
	case last == number:
		x.ids.set(id, older[len(older)-1])
		older = older[:len(older)-1]
	default:
		older = slices.DeleteFunc(older, func(n int64) bool { return n == number })
	}
	if x.older[id] = older; len(older) == 0 {
		delete(x.older, id)
	}
}

// release has the time of one be over that is Pressed.
func (x *tombstones) release(number int64) {
	t := x.all.At(number)
	x.ends.take(entry{int64(t.until), number})
	if key := (ownKey{t.owner, x.keys[number]}); x.byKey[key] == number {
		delete(x.byKey, key)
	}
	delete(x.keys, number)
	t.pressed = false
}

// expire returns those whose time is over. Their ids are remembered.
func (x *tombstones) expire(uptime time.Duration) (over []Tombstone) {
	for x.ends.len() > 0 && x.ends.first().by <= int64(uptime) {
		number := x.ends.first().stamp
		over = append(over, x.tombstone(number))
		x.release(number)
	}
	return over
}

func (x *tombstones) next() (time.Duration, bool) {
	if x.ends.len() == 0 {
		return 0, false
	}
	return time.Duration(x.ends.first().by), true
}

// find returns the number of an owner's with this id; 0: there is none.
func (x *tombstones) find(id task.ID, owner uint32) (number int64) {
	x.each(id, func(n int64) bool {
		if x.all.At(n).owner == owner {
			number = n
		}
		return number == 0
	})
	return number
}

// has reports whether there is a tombstone with this id of an owner whom visible accepts.
func (x *tombstones) has(id task.ID, visible func(owner uint32) bool) (yes bool) {
	x.each(id, func(n int64) bool {
		yes = visible(x.all.At(n).owner)
		return !yes
	})
	return yes
}

// each calls f with the numbers of those with an id until it returns false.
func (x *tombstones) each(id task.ID, f func(number int64) bool) {
	last, ok := x.ids.get(id)
	if !ok || !f(last) {
		return
	}
	for _, n := range x.older[id] {
		if !f(n) {
			return
		}
	}
}

// Pressed returns the Tombstone of the owner's task with this id or, if it is not empty, this
// idempotency key, if its Result had to make room and its time is not over; else nil. It
// is as of the last Evict.
func (s *Store) Pressed(owner uint32, id task.ID, key string) *Tombstone {
	x := &s.tombstones
	number := x.find(id, owner)
	if (number == 0 || !x.all.At(number).pressed) && key != "" {
		number = x.byKey[ownKey{owner, key}]
	}
	if number == 0 || !x.all.At(number).pressed {
		return nil
	}
	g := x.tombstone(number)
	return &g
}

// RestoreTombstone takes in a Tombstone that was Pressed, and returns those that went for it.
func (s *Store) RestoreTombstone(g Tombstone) (gone []Tombstone) {
	g.Pressed = true
	s.stamp = max(s.stamp, g.Stamp) // which is no other task's
	return s.tombstones.add(g)
}
