package ledger

import "time"

// keeping is the Results that are kept, and the event logs of tasks that wait for another
// attempt, which are as large. It knows who has how much of it: where room is short the
// oldest goes of whoever has most, so that nobody's flood takes the place of what others
// have, as long as they have less.
type keeping struct {
	count  int   // of Results
	bytes  int64 // of all together
	owners map[uint32]*holding
	// byExpiry has Results, what expires first in front; byBytes and byCount who has most.
	byExpiry         ranked[*kept]
	byBytes, byCount ranked[*holding]
}

// holding is what one caller has of it.
type holding struct {
	owner uint32
	bytes int64
	// results and logs have the oldest in front.
	results, logs    ranked[*kept]
	inBytes, inCount int
}

// kept is a Result or a log that is kept.
type kept struct {
	record *Record
	bytes  int64
	// expires is an uptime, for a Result.
	expires time.Duration
	// age orders those of one owner; the oldest has the least.
	age             uint64
	isLog           bool
	inExpiry, inAge int
}

func newKeeping() keeping {
	return keeping{owners: map[uint32]*holding{},
		byExpiry: ranked[*kept]{less: func(a, b *kept) bool { return a.expires < b.expires }, place: func(k *kept) *int { return &k.inExpiry }},
		byBytes:  ranked[*holding]{less: func(a, b *holding) bool { return a.bytes > b.bytes }, place: func(h *holding) *int { return &h.inBytes }},
		byCount:  ranked[*holding]{less: func(a, b *holding) bool { return a.results.len() > b.results.len() }, place: func(h *holding) *int { return &h.inCount }}}
}

func newHolding(owner uint32) *holding {
	oldest := ranked[*kept]{less: func(a, b *kept) bool { return a.age < b.age }, place: func(k *kept) *int { return &k.inAge }}
	return &holding{owner: owner, results: oldest, logs: oldest}
}

func (h *holding) of(k *kept) *ranked[*kept] {
	if k.isLog {
		return &h.logs
	}
	return &h.results
}

func (x *keeping) add(k *kept) {
	h := x.owners[k.record.Owner]
	if h == nil {
		h = newHolding(k.record.Owner)
		x.owners[h.owner] = h
		x.byBytes.add(h)
		x.byCount.add(h)
	}
	h.of(k).add(k)
	if k.record.kept = k; !k.isLog {
		x.count++
		x.byExpiry.add(k)
	}
	x.counted(h, k.bytes)
}

func (x *keeping) take(k *kept) {
	h := x.owners[k.record.Owner]
	h.of(k).take(k)
	if k.record.kept = nil; !k.isLog {
		x.count--
		x.byExpiry.take(k)
	}
	x.counted(h, -k.bytes)
	if h.results.len() == 0 && h.logs.len() == 0 {
		x.byBytes.take(h)
		x.byCount.take(h)
		delete(x.owners, h.owner)
	}
}

// grow counts so much more for k.
func (x *keeping) grow(k *kept, bytes int64) {
	k.bytes += bytes
	x.counted(x.owners[k.record.Owner], bytes)
}

func (x *keeping) counted(h *holding, bytes int64) {
	x.bytes += bytes
	h.bytes += bytes
	x.byBytes.moved(h)
	x.byCount.moved(h)
}

// expired returns a Result whose time is over; nil: there is none.
func (x *keeping) expired(uptime time.Duration) *kept {
	if x.byExpiry.len() > 0 && x.byExpiry.first().expires <= uptime {
		return x.byExpiry.first()
	}
	return nil
}

// pressed returns what has to make room; nil: there is room.
func (x *keeping) pressed(b Bounds) *kept {
	switch {
	case x.count > b.Max:
		return x.byCount.first().results.first()
	case x.bytes <= b.MaxBytes || x.byBytes.len() == 0:
		return nil
	}
	h := x.byBytes.first()
	if h.logs.len() > 0 { // which cost nobody a result
		return h.logs.first()
	}
	return h.results.first()
}
