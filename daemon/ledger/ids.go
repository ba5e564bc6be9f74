package ledger

import "cpulb/daemon/task"

// ids finds the stamps of tasks by their ids. It has no pointers, and, unlike a map, it
// gets smaller again: each of its parts is made anew once it has become much smaller.
type ids struct {
	parts [256]idPart
}

type idPart struct {
	stamps map[task.ID]int64
	most   int // that were there since it was made
}

// sparse is from how many on a part that is filled to less than a quarter is made anew.
const sparse = 256

// part returns where an id is, by a byte that is random in ids of every version.
func (x *ids) part(id task.ID) *idPart { return &x.parts[id[len(id)-1]] }

func (x *ids) get(id task.ID) (stamp int64, ok bool) {
	stamp, ok = x.part(id).stamps[id]
	return stamp, ok
}

func (x *ids) set(id task.ID, stamp int64) {
	p := x.part(id)
	if p.stamps == nil {
		p.stamps = map[task.ID]int64{}
	}
	p.stamps[id] = stamp
	p.most = max(p.most, len(p.stamps))
}

func (x *ids) remove(id task.ID) {
	p := x.part(id)
	delete(p.stamps, id)
	if p.most < sparse || len(p.stamps) >= p.most/4 {
		return
	}
	smaller := make(map[task.ID]int64, len(p.stamps))
	for id, stamp := range p.stamps {
		smaller[id] = stamp
	}
	p.stamps, p.most = smaller, len(smaller)
}
