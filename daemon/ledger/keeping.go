package ledger

import "time"

// keeping is the Results that are kept, and the event logs of tasks that run or wait for
// another attempt, which are as large. It knows who has how much of it: where room is short the
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
	// all have the oldest in front.
	all              [kinds]ranked[*kept]
	inBytes, inCount int
}

// kind is what is kept, in the order in which it makes room.
type kind uint8

const (
	// waitingLog is of a task that waits for another attempt: its loss costs nobody a Result.
	waitingLog kind = iota
	aResult
	// runningLog is of an attempt, whose partial results nobody may have read yet.
	runningLog
	kinds
)

// kept is a Result or a log that is kept.
type kept struct {
	record *Record
	bytes  int64
	// expires is an uptime, for a Result.
	expires time.Duration
	// age orders those of one owner; the oldest has the least.
	age             uint64
	what            kind
	inExpiry, inAge int
}

func newKeeping() keeping {
	return keeping{owners: map[uint32]*holding{},
		byExpiry: ranked[*kept]{less: func(a, b *kept) bool { return a.expires < b.expires }, place: func(k *kept) *int { return &k.inExpiry }},
		byBytes:  ranked[*holding]{less: func(a, b *holding) bool { return a.bytes > b.bytes }, place: func(h *holding) *int { return &h.inBytes }},
		byCount:  ranked[*holding]{less: func(a, b *holding) bool { return a.all[aResult].len() > b.all[aResult].len() }, place: func(h *holding) *int { return &h.inCount }}}
}

func newHolding(owner uint32) *holding {
	oldest := ranked[*kept]{less: func(a, b *kept) bool { return a.age < b.age }, place: func(k *kept) *int { return &k.inAge }}
	return &holding{owner: owner, all: [kinds]ranked[*kept]{oldest, oldest, oldest}}
}

func (x *keeping) add(k *kept) {
	h := x.owners[k.record.Owner]
	if h == nil {
		h = newHolding(k.record.Owner)
		x.owners[h.owner] = h
		x.byBytes.add(h)
		x.byCount.add(h)
	}
	h.all[k.what].add(k)
	if k.record.kept = k; k.what == aResult {
		x.count++
		x.byExpiry.add(k)
	}
	x.counted(h, k.bytes)
}

func (x *keeping) take(k *kept) {
	h := x.owners[k.record.Owner]
	h.all[k.what].take(k)
	if k.record.kept = nil; k.what == aResult {
		x.count--
		x.byExpiry.take(k)
	}
	x.counted(h, -k.bytes)
	if h.first() == nil {
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
		return x.byCount.first().all[aResult].first()
	case x.bytes <= b.MaxBytes || x.byBytes.len() == 0:
		return nil
	}
	return x.byBytes.first().first()
}

// first returns what has to make room first; nil: there is nothing.
func (h *holding) first() *kept {
	for i := range h.all {
		if h.all[i].len() > 0 {
			return h.all[i].first()
		}
	}
	return nil
}
