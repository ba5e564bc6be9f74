package ledger

import (
	"time"

	"cpulb/daemon/task"
)

// keep counts the Result of r, which ended at an uptime, and returns its bytes.
func (s *Store) keep(r *Record, uptime time.Duration) (bytes int64) {
	s.uncount(r)
	if r.end == 0 {
		s.NumberEnd(r)
	}
	ttl := s.bounds.TTL
	if x := r.Task.Extra; x != nil && x.ResultTTL > 0 {
		ttl = time.Duration(x.ResultTTL)
	}
	k := &kept{record: r, expires: task.Sum(uptime, ttl), bytes: weight(r), age: r.end, what: aResult}
	bytes = k.bytes + s.furtherBytes(r.stamp)
	s.kept.addResult(k, bytes)
	return bytes
}

// furtherBytes is what is counted of a task for its batches beyond the first.
func (s *Store) furtherBytes(stamp int64) int64 { return batchBytes * int64(len(s.further[stamp])) }

// weight is what its sender and its script decided of r.
func weight(r *Record) int64 {
	n := r.Task.Size() + r.result.Size()
	if r.log != nil {
		n += r.log.size()
	}
	return n
}

// countLog counts the events of r, which has not ended, among what is kept.
func (s *Store) countLog(r *Record) {
	s.uncount(r)
	if r.log == nil || r.log.size() == 0 {
		return
	}
	s.logs++
	what := waitingLog
	if r.phase.InSlot() {
		what = runningLog
	}
	s.kept.addLog(&kept{record: r, bytes: r.log.size(), age: s.logs, what: what})
}

// uncount ends that.
func (s *Store) uncount(r *Record) {
	if r.kept != nil {
		s.kept.takeLog(r.kept)
	}
}

// Noted counts the events of r, which has got one more. It reports whether something has to
// make room now.
func (s *Store) Noted(r *Record) bool {
	switch k := r.kept; {
	case k != nil && k.what != aResult:
		s.kept.grow(k, r.log.size()-k.bytes)
	case k == nil && r.phase.InSlot():
		s.countLog(r)
	}
	return s.kept.bytes > s.bounds.MaxBytes
}

// Evicted is what was dropped.
type Evicted struct {
	Tasks []Gone
	// Batches are those of which they were.
	Batches map[*Batch]struct{}
	// Forgotten are earlier Tombstones that are not remembered any more.
	Forgotten []Tombstone
	// Trimmed are tasks that have not ended and have lost their events.
	Trimmed []*Record
}

// Gone is a task that has ended and is no longer kept.
type Gone struct {
	// Stamp, Volatile and Schedule are as of its Record.
	Stamp    int64
	Volatile bool
	Schedule string
	// Tombstone is what remains of it if it had to make room before its time, else nil.
	Tombstone *Tombstone
}

// Evict drops the Results that are too old, too many or too large, and returns them. What
// is too many or too large goes from whoever has most of that, the oldest first.
func (s *Store) Evict(uptime time.Duration) (gone Evicted) {
	s.evictAll(uptime, &gone)
	return gone
}

func (s *Store) evictAll(uptime time.Duration, gone *Evicted) {
	for stamp := s.kept.expired(uptime); stamp != 0; stamp = s.kept.expired(uptime) {
		s.evict(stamp, uptime, true, gone)
	}
	gone.Forgotten = append(gone.Forgotten, s.tombstones.expire(uptime)...)
	for stamp, log := s.kept.pressed(s.bounds); stamp != 0 || log != nil; stamp, log = s.kept.pressed(s.bounds) {
		if log == nil {
			s.evict(stamp, uptime, false, gone)
			continue
		}
		s.kept.takeLog(log)
		log.record.log.trim()
		gone.Trimmed = append(gone.Trimmed, log.record)
	}
}

// evict drops the Result of the task with a stamp, which is kept, at an uptime. over: it had
// its time.
func (s *Store) evict(stamp int64, uptime time.Duration, over bool, gone *Evicted) {
	at, _ := s.tasks.find(stamp)
	g := s.gist(at)
	s.kept.takeResult(stamp, &g, g.bytes+s.furtherBytes(stamp))
	s.remove(stamp, &g)
	for _, b := range s.part(stamp, &g, true) {
		if gone.Batches == nil {
			gone.Batches = map[*Batch]struct{}{}
		}
		gone.Batches[b] = struct{}{}
	}
	left := Gone{Stamp: stamp, Volatile: g.volatile, Schedule: g.schedule}
	tombstone := Tombstone{ID: g.id, Owner: g.owner}
	if !over {
		tombstone = Tombstone{ID: g.id, Owner: g.owner, Pressed: true, Volatile: g.volatile, Key: g.key, Stamp: stamp, Made: uptime, Until: g.expires}
		left.Tombstone = &tombstone
	}
	gone.Tasks = append(gone.Tasks, left)
	gone.Forgotten = append(gone.Forgotten, s.tombstones.add(tombstone)...)
}

// gist returns that of the task in a place.
func (s *Store) gist(at spot) gist {
	if r := at.record(); r != nil {
		return gistOf(r)
	}
	return s.commons.gist(&unpacker{at.packed()})
}

// NextEviction returns at what uptime the next Result or Tombstone is too old; false if there
// is none.
func (s *Store) NextEviction() (at time.Duration, ok bool) {
	if s.kept.byExpiry.len() > 0 {
		at, ok = time.Duration(s.kept.byExpiry.first().by), true
	}
	if until, some := s.tombstones.next(); some && (!ok || until < at) {
		at, ok = until, true
	}
	return at, ok
}
