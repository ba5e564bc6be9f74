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
	// byExpiry has Results by the uptime at which they expire; byBytes and byCount have in
	// front who has most.
	byExpiry         ordered
	byBytes, byCount ranked[*holding]
}

// holding is what one caller has of it.
type holding struct {
	owner uint32
	bytes int64
	// results are by age. So are logs, the oldest in front.
	results          ordered
	logs             [kinds]ranked[*kept]
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

// kept is a Result of a task that is whole, or a log, that is kept.
type kept struct {
	record *Record
	bytes  int64
	// expires is an uptime, for a Result.
	expires time.Duration
	// age orders those of one owner; the oldest has the least.
	age   uint64
	what  kind
	inAge int // of a log
}

func newKeeping() keeping {
	return keeping{owners: map[uint32]*holding{},
		byBytes: ranked[*holding]{less: func(a, b *holding) bool { return a.bytes > b.bytes }, place: func(h *holding) *int { return &h.inBytes }},
		byCount: ranked[*holding]{less: func(a, b *holding) bool { return a.results.len() > b.results.len() }, place: func(h *holding) *int { return &h.inCount }}}
}

// holding returns what an owner has, which may be nothing yet.
func (x *keeping) holding(owner uint32) *holding {
	h := x.owners[owner]
	if h == nil {
		oldest := ranked[*kept]{less: func(a, b *kept) bool { return a.age < b.age }, place: func(k *kept) *int { return &k.inAge }}
		h = &holding{owner: owner, logs: [kinds]ranked[*kept]{waitingLog: oldest, runningLog: oldest}}
		x.owners[owner] = h
		x.byBytes.add(h)
		x.byCount.add(h)
	}
	return h
}

// addResult keeps the Result of k.
func (x *keeping) addResult(k *kept, bytes int64) {
	h := x.holding(k.record.Owner)
	k.record.kept = k
	h.results.add(entry{int64(k.age), k.record.stamp})
	x.count++
	x.byExpiry.add(entry{int64(k.expires), k.record.stamp})
	x.counted(h, bytes)
}

// takeResult is the opposite, for so many bytes.
func (x *keeping) takeResult(stamp int64, g *gist, bytes int64) {
	h := x.owners[g.owner]
	h.results.take(entry{int64(g.end), stamp})
	x.count--
	x.byExpiry.take(entry{int64(g.expires), stamp})
	x.counted(h, -bytes)
	x.forget(h)
}

func (x *keeping) addLog(k *kept) {
	h := x.holding(k.record.Owner)
	k.record.kept = k
	h.logs[k.what].add(k)
	x.counted(h, k.bytes)
}

func (x *keeping) takeLog(k *kept) {
	h := x.owners[k.record.Owner]
	h.logs[k.what].take(k)
	k.record.kept = nil
	x.counted(h, -k.bytes)
	x.forget(h)
}

// forget lets go of who has nothing.
func (x *keeping) forget(h *holding) {
	if stamp, log := h.first(); stamp == 0 && log == nil {
		x.byBytes.take(h)
		x.byCount.take(h)
		delete(x.owners, h.owner)
	}
}

// more counts so much more for an owner, who has something.
func (x *keeping) more(owner uint32, bytes int64) { x.counted(x.owners[owner], bytes) }

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

// expired returns the stamp of a task whose time is over; 0: there is none.
func (x *keeping) expired(uptime time.Duration) (stamp int64) {
	if x.byExpiry.len() > 0 && x.byExpiry.first().by <= int64(uptime) {
		return x.byExpiry.first().stamp
	}
	return 0
}

// pressed returns what has to make room: the Result of the task with a stamp, or a log;
// neither: there is room.
func (x *keeping) pressed(b Bounds) (stamp int64, log *kept) {
	switch {
	case x.count > b.Max:
		return x.byCount.first().results.first().stamp, nil
	case x.bytes <= b.MaxBytes || x.byBytes.len() == 0:
		return 0, nil
	}
	return x.byBytes.first().first()
}

// first returns, as pressed does, what has to make room first.
func (h *holding) first() (stamp int64, log *kept) {
	switch {
	case h.logs[waitingLog].len() > 0:
		return 0, h.logs[waitingLog].first()
	case h.results.len() > 0:
		return h.results.first().stamp, nil
	case h.logs[runningLog].len() > 0:
		return 0, h.logs[runningLog].first()
	}
	return 0, nil
}
