package ledger

import (
	"fmt"
	"iter"
	"math"

	"cpulb/daemon/task"
)

// After looks at up to n places in the order of submission after a stamp and calls yield with
// the tasks there of which wanted holds, until it returns false; nil wants all. It returns
// the last stamp that was looked at and whether there may be more.
func (s *Store) After(stamp int64, n int, wanted func(owner uint32, status task.Status) bool, yield func(*Record) bool) (int64, bool) {
	if stamp == math.MaxInt64 {
		return stamp, false
	}
	number, i := s.tasks.after(stamp + 1)
	for ; number < len(s.tasks.all); number, i = number+1, 0 {
		for p := s.tasks.all[number]; i < p.n; i++ {
			if n--; n < 0 {
				return stamp, true
			}
			stamp = p.stamps[i]
			if r := s.wanted(spot{p, i}, wanted); r != nil && !yield(r) {
				return stamp, true
			}
		}
	}
	return stamp, false
}

// Before is After in the other direction: it looks at up to n places before a stamp, the
// latest first.
func (s *Store) Before(stamp int64, n int, wanted func(owner uint32, status task.Status) bool, yield func(*Record) bool) (int64, bool) {
	number, i := s.tasks.after(stamp)
	for i--; ; i-- {
		if i < 0 {
			if number--; number < 0 {
				return stamp, false
			}
			i = s.tasks.all[number].n - 1
		}
		if n--; n < 0 {
			return stamp, true
		}
		p := s.tasks.all[number]
		stamp = p.stamps[i]
		if r := s.wanted(spot{p, i}, wanted); r != nil && !yield(r) {
			return stamp, true
		}
	}
}

// wanted returns the task in a place; nil: there is none, or it is not wanted.
func (s *Store) wanted(at spot, wanted func(owner uint32, status task.Status) bool) *Record {
	if !at.page.has(at.i) {
		return nil
	}
	if r := at.record(); r != nil {
		if wanted != nil && !wanted(r.Owner, r.counted) {
			return nil
		}
		return r
	}
	if wanted != nil {
		if g := s.commons.gist(&unpacker{at.packed()}); !wanted(g.owner, g.status) {
			return nil
		}
	}
	return s.open(at)
}

// open returns the Record of a task: itself, or a copy of one that is packed.
func (s *Store) open(at spot) *Record {
	if r := at.record(); r != nil {
		return r
	}
	return s.commons.unpack(at.packed(), at.page.stamps[at.i])
}

// at returns the task with a stamp, or nil.
func (s *Store) at(stamp int64) *Record {
	if at, ok := s.tasks.find(stamp); ok {
		return s.open(at)
	}
	return nil
}

// Has reports whether a task is stored. There may be another with its id then.
func (s *Store) Has(r *Record) bool {
	_, ok := s.tasks.find(r.stamp)
	return ok
}

// Get returns the task with this id, or nil. Of one that ended a while ago it may be a copy.
func (s *Store) Get(id task.ID) *Record {
	if stamp, ok := s.ids.get(id); ok {
		return s.at(stamp)
	}
	return nil
}

// Keyed returns the owner's task with this idempotency key, or nil, as Get does.
func (s *Store) Keyed(owner uint32, key string) *Record {
	if stamp, ok := s.keyed[ownKey{owner, key}]; ok {
		return s.at(stamp)
	}
	return nil
}

// Unended yields every task that has not ended, in the order of submission. The Store does
// not change meanwhile.
func (s *Store) Unended() iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		for _, p := range s.tasks.all {
			if p.whole == nil {
				continue
			}
			for _, r := range p.whole {
				if r != nil && r.phase != Ended && !yield(r) {
					return
				}
			}
		}
	}
}

// Find returns, as Get does, or for an id that it does not have task.ErrEvicted, if it had one
// of an owner whose tasks are visible to who asks and remembers that, else task.ErrNotFound.
func (s *Store) Find(id task.ID, visible func(owner uint32) bool) (*Record, error) {
	if r := s.Get(id); r != nil {
		return r, nil
	}
	if s.tombstones.has(id, visible) {
		return nil, fmt.Errorf("%w: %s", task.ErrEvicted, id)
	}
	return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
}
