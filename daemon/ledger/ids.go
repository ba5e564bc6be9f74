package ledger

import (
	"hash/maphash"
	"math/bits"

	"cpulb/daemon/task"
)

// ids finds numbers, which are above 0, by ids. It is what a map would be, but without
// pointers, hardly larger than what is in it however much comes and goes, and it gets smaller
// again. It has parts, so that nobody waits while all of it grows.
//
// Ids are chosen by clients, and clients can't know the seed.
type ids struct {
	seed  maphash.Seed
	parts [256]idPart
}

// idPart is a hash table: an id is at its home, or behind it with no empty slot between.
type idPart struct {
	slots []idSlot
	n     int
}

type idSlot struct {
	id     task.ID
	number int64 // 0: it is empty
}

func newIDs() ids { return ids{seed: maphash.MakeSeed()} }

// find returns the part in which an id is, and where there: its slot, or the empty one where
// it would be. A part without slots has none.
func (x *ids) find(id task.ID) (p *idPart, at int) {
	h := maphash.Bytes(x.seed, id[:])
	p = &x.parts[byte(h)]
	if len(p.slots) == 0 {
		return p, -1
	}
	at = home(h, len(p.slots))
	for p.slots[at].number != 0 && p.slots[at].id != id {
		at = p.next(at)
	}
	return p, at
}

// home is where among n slots an id with this hash is at best.
func home(hash uint64, n int) int {
	at, _ := bits.Mul64(hash, uint64(n))
	return int(at)
}

func (p *idPart) next(at int) int {
	if at++; at < len(p.slots) {
		return at
	}
	return 0
}

func (x *ids) get(id task.ID) (number int64, ok bool) {
	p, at := x.find(id)
	if at < 0 || p.slots[at].number == 0 {
		return 0, false
	}
	return p.slots[at].number, true
}

func (x *ids) set(id task.ID, number int64) {
	p, at := x.find(id)
	if at >= 0 && p.slots[at].number != 0 {
		p.slots[at].number = number
		return
	}
	if p.n++; p.n > len(p.slots)/5*4 {
		x.resize(p)
		_, at = x.find(id)
	}
	p.slots[at] = idSlot{id, number}
}

// resize makes as many slots as a part with so many ids should have.
func (x *ids) resize(p *idPart) {
	old := p.slots
	p.slots = make([]idSlot, p.n+p.n/2+10)
	for _, s := range old {
		if s.number != 0 {
			_, at := x.find(s.id)
			p.slots[at] = s
		}
	}
}

func (x *ids) remove(id task.ID) {
	p, hole := x.find(id)
	if hole < 0 || p.slots[hole].number == 0 {
		return
	}
	// What stands behind the hole and may stand in it comes there.
	for at := p.next(hole); p.slots[at].number != 0; at = p.next(at) {
		best := home(maphash.Bytes(x.seed, p.slots[at].id[:]), len(p.slots))
		if p.distance(best, at) >= p.distance(hole, at) {
			p.slots[hole], hole = p.slots[at], at
		}
	}
	p.slots[hole] = idSlot{}
	if p.n--; p.n < len(p.slots)/4 {
		x.resize(p)
	}
}

// distance is how many slots to is behind from.
func (p *idPart) distance(from, to int) int {
	if to >= from {
		return to - from
	}
	return to - from + len(p.slots)
}
