package ledger

import (
	"time"

	"cpulb/daemon/task"
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
	// Key is its idempotency key, Stamp as of the Record.
	Key   string
	Stamp int64
	// At is when it made room, in nanoseconds since 1970; Until the uptime at which its
	// time is over.
	At    int64
	Until time.Duration
	// Volatile: it does not outlive the daemon.
	Volatile bool

	age           uint64
	inAge, inEnds int
	same          *Tombstone // of another owner, with the same id
}

// tombstones are all of them, at most so many. If there are too many the oldest goes of
// whoever has most.
type tombstones struct {
	n, bound int
	made     uint64
	byID     map[task.ID]*Tombstone
	byKey    map[ownKey]*Tombstone
	owners   map[uint32]*ownTombstones
	most     ranked[*ownTombstones]
	// ends has those that are Pressed, whose time is over first in front.
	ends ranked[*Tombstone]
}

// ownTombstones is the tombstones of one owner, the oldest in front.
type ownTombstones struct {
	owner  uint32
	all    ranked[*Tombstone]
	inMost int
}

func newTombstones() tombstones {
	return tombstones{bound: maxTombstones, byID: map[task.ID]*Tombstone{}, byKey: map[ownKey]*Tombstone{}, owners: map[uint32]*ownTombstones{},
		most: ranked[*ownTombstones]{less: func(a, b *ownTombstones) bool { return a.all.len() > b.all.len() }, place: func(p *ownTombstones) *int { return &p.inMost }},
		ends: ranked[*Tombstone]{less: func(a, b *Tombstone) bool { return a.Until < b.Until }, place: func(g *Tombstone) *int { return &g.inEnds }}}
}

// add adds g, and returns those that were Pressed and went for it.
func (x *tombstones) add(g *Tombstone) (gone []*Tombstone) {
	if old := x.find(g.ID, g.Owner); old != nil {
		gone = x.take(old, gone)
	}
	p := x.owners[g.Owner]
	if p == nil {
		p = &ownTombstones{owner: g.Owner, all: ranked[*Tombstone]{less: func(a, b *Tombstone) bool { return a.age < b.age }, place: func(g *Tombstone) *int { return &g.inAge }}}
		x.owners[g.Owner] = p
		x.most.add(p)
	}
	x.made++
	g.age, g.same = x.made, x.byID[g.ID]
	x.byID[g.ID] = g
	p.all.add(g)
	x.most.moved(p)
	if x.n++; g.Pressed {
		x.ends.add(g)
		if g.Key != "" {
			x.byKey[ownKey{g.Owner, g.Key}] = g
		}
	}
	for x.n > x.bound {
		gone = x.take(x.most.first().all.first(), gone)
	}
	return gone
}

// take takes g out, and adds it to gone if it was Pressed.
func (x *tombstones) take(g *Tombstone, gone []*Tombstone) []*Tombstone {
	p := x.owners[g.Owner]
	p.all.take(g)
	x.most.moved(p)
	if p.all.len() == 0 {
		x.most.take(p)
		delete(x.owners, p.owner)
	}
	for at := x.byID[g.ID]; at != nil; at = at.same {
		switch {
		case at == g && g.same == nil:
			delete(x.byID, g.ID)
		case at == g:
			x.byID[g.ID] = g.same
		case at.same == g:
			at.same = g.same
		}
	}
	x.n--
	if g.Pressed {
		x.release(g)
		gone = append(gone, g)
	}
	return gone
}

// release has the time of g be over.
func (x *tombstones) release(g *Tombstone) {
	x.ends.take(g)
	if key := (ownKey{g.Owner, g.Key}); x.byKey[key] == g {
		delete(x.byKey, key)
	}
	g.Pressed = false
}

// expire returns those whose time is over. Their ids are remembered.
func (x *tombstones) expire(uptime time.Duration) (over []*Tombstone) {
	for x.ends.len() > 0 && x.ends.first().Until <= uptime {
		g := x.ends.first()
		x.release(g)
		over = append(over, g)
	}
	return over
}

func (x *tombstones) next() (time.Duration, bool) {
	if x.ends.len() == 0 {
		return 0, false
	}
	return x.ends.first().Until, true
}

func (x *tombstones) find(id task.ID, owner uint32) *Tombstone {
	for g := x.byID[id]; g != nil; g = g.same {
		if g.Owner == owner {
			return g
		}
	}
	return nil
}

// has reports whether there is a tombstone with this id of an owner whom visible accepts.
func (x *tombstones) has(id task.ID, visible func(owner uint32) bool) bool {
	for g := x.byID[id]; g != nil; g = g.same {
		if visible(g.Owner) {
			return true
		}
	}
	return false
}

// Pressed returns the Tombstone of the owner's task with this id or, if it is not empty, this
// idempotency key, if its Result had to make room and its time is not over; else nil. It
// is as of the last Evict.
func (s *Store) Pressed(owner uint32, id task.ID, key string) *Tombstone {
	if g := s.tombstones.find(id, owner); g != nil && g.Pressed {
		return g
	}
	if key == "" {
		return nil
	}
	return s.tombstones.byKey[ownKey{owner, key}]
}

// RestoreTombstone takes in a Tombstone that was Pressed, and returns those that went for it.
func (s *Store) RestoreTombstone(g *Tombstone) (gone []*Tombstone) {
	g.Pressed = true
	s.stamp = max(s.stamp, g.Stamp) // which is no other task's
	return s.tombstones.add(g)
}
