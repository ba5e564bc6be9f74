package ledger

import (
	"time"

	"cpulb/daemon/task"
)

// keep counts the Result of r, which ended at an uptime.
func (s *Store) keep(r *Record, uptime time.Duration) *kept {
	s.uncount(r)
	if r.end == 0 {
		s.NumberEnd(r)
	}
	ttl := s.bounds.TTL
	if x := r.Task.Extra; x != nil && x.ResultTTL > 0 {
		ttl = time.Duration(x.ResultTTL)
	}
	k := &kept{record: r, expires: task.Sum(uptime, ttl), bytes: weight(r) + batchBytes*int64(len(s.further[r])), age: r.end, what: aResult}
	s.kept.add(k)
	return k
}

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
	s.kept.add(&kept{record: r, bytes: r.log.size(), age: s.logs, what: what})
}

// uncount ends that.
func (s *Store) uncount(r *Record) {
	if r.kept != nil {
		s.kept.take(r.kept)
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
	Records []*Record
	// Batches are those of which they were.
	Batches map[*Batch]struct{}
	// Tombstones are those of Records that had to make room before their time, by stamp.
	Tombstones map[int64]*Tombstone
	// Forgotten are earlier Tombstones that are not remembered any more.
	Forgotten []*Tombstone
	// Trimmed are tasks that have not ended and have lost their events.
	Trimmed []*Record
}

// Evict drops the Results that are too old, too many or too large, and returns them. What
// is too many or too large goes from whoever has most of that, the oldest first.
func (s *Store) Evict(uptime time.Duration) (gone Evicted) {
	s.evictAll(uptime, &gone)
	return gone
}

func (s *Store) evictAll(uptime time.Duration, gone *Evicted) {
	for k := s.kept.expired(uptime); k != nil; k = s.kept.expired(uptime) {
		s.evict(k, nil, gone)
	}
	gone.Forgotten = append(gone.Forgotten, s.tombstones.expire(uptime)...)
	for k := s.kept.pressed(s.bounds); k != nil; k = s.kept.pressed(s.bounds) {
		if k.what == aResult {
			s.evict(k, tombstoneOf(k), gone)
			continue
		}
		s.kept.take(k)
		k.record.log.trim()
		gone.Trimmed = append(gone.Trimmed, k.record)
	}
}

// evict drops a Result. g is what remains of it; nil: it had its time.
func (s *Store) evict(k *kept, g *Tombstone, gone *Evicted) {
	r := k.record
	s.kept.take(k)
	s.remove(r)
	for _, b := range s.part(r, true) {
		if gone.Batches == nil {
			gone.Batches = map[*Batch]struct{}{}
		}
		gone.Batches[b] = struct{}{}
	}
	gone.Records = append(gone.Records, r)
	if g == nil {
		g = &Tombstone{ID: r.Task.ID, Owner: r.Owner}
	} else {
		if gone.Tombstones == nil {
			gone.Tombstones = map[int64]*Tombstone{}
		}
		gone.Tombstones[r.stamp] = g
	}
	gone.Forgotten = append(gone.Forgotten, s.tombstones.add(g)...)
}

// NextEviction returns at what uptime the next Result or Tombstone is too old; false if there
// is none.
func (s *Store) NextEviction() (at time.Duration, ok bool) {
	if s.kept.byExpiry.len() > 0 {
		at, ok = s.kept.byExpiry.first().expires, true
	}
	if until, some := s.tombstones.next(); some && (!ok || until < at) {
		at, ok = until, true
	}
	return at, ok
}
