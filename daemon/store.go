package daemon

import (
	"fmt"
	"time"

	"cpulb/daemon/task"
)

// maxTombstones bounds how many evicted ids are remembered.
const maxTombstones = 100_000

// store finds tasks by id and keeps ended ones up to a number and an age.
// Engine.mu guards it. Age is looked at whenever a task ends or is sought.
type store struct {
	config ResultsConfig
	tasks  map[task.ID]*record
	// kept is the ended tasks, oldest first, from head on.
	kept []*record
	head int
	// tombstones are evicted ids; graves is the ring that bounds them.
	tombstones map[task.ID]struct{}
	graves     []task.ID
	grave      int
	put, got   uint64
}

func newStore(c ResultsConfig) *store {
	return &store{config: c, tasks: map[task.ID]*record{}, tombstones: map[task.ID]struct{}{}}
}

func (s *store) add(r *record) { s.tasks[r.task.ID] = r }

func (s *store) ended(r *record) {
	s.put++
	s.kept = append(s.kept, r)
	s.evict(time.Now())
}

// size is the number of results kept.
func (s *store) size() int { return len(s.kept) - s.head }

// find returns task.ErrNotFound or task.ErrEvicted for an id it does not have.
func (s *store) find(id task.ID) (*record, error) {
	s.evict(time.Now())
	if r, ok := s.tasks[id]; ok {
		return r, nil
	}
	if _, ok := s.tombstones[id]; ok {
		return nil, fmt.Errorf("%w: %s", task.ErrEvicted, id)
	}
	return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
}

func (s *store) evict(now time.Time) {
	for s.size() > 0 {
		oldest := s.kept[s.head]
		if s.size() <= s.config.Max && now.Sub(oldest.result.FinishedAt) <= s.config.TTL {
			break
		}
		s.kept[s.head] = nil
		s.head++
		delete(s.tasks, oldest.task.ID)
		s.bury(oldest.task.ID)
	}
	if s.head > 1024 && s.head > len(s.kept)/2 {
		s.kept = append([]*record(nil), s.kept[s.head:]...)
		s.head = 0
	}
}

func (s *store) bury(id task.ID) {
	if len(s.graves) < maxTombstones {
		s.graves = append(s.graves, id)
	} else {
		delete(s.tombstones, s.graves[s.grave])
		s.graves[s.grave] = id
		s.grave = (s.grave + 1) % maxTombstones
	}
	s.tombstones[id] = struct{}{}
}
