package daemon

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/task"
)

// maxTombstones bounds how many evicted ids are remembered.
const maxTombstones = 100_000

// store finds tasks by id and lists them in the order in which they were
// submitted. It keeps ended ones up to a number, a size and an age. Engine.mu
// guards it. Age is looked at whenever a task ends or is sought.
type store struct {
	config config.Results
	// forget is told of the tasks that are no longer kept.
	forget func([]*record)
	now    func() time.Time
	tasks  map[task.ID]*record
	// keyed has the tasks with an idempotency key.
	keyed map[ownKey]*record
	// order is all tasks by stamp, without a record where one was evicted; gaps
	// counts those.
	order   []placed
	gaps    int
	batches map[task.ID]*batch
	// stamp is the last one given.
	stamp int64
	// kept is the ended tasks, the one to be evicted first in front.
	kept expiries
	// bytes is what they have together.
	bytes int64
	// tombstones are evicted ids; graves is the ring that bounds them.
	tombstones map[task.ID]struct{}
	graves     []task.ID
	grave      int
	counts     []int // of the tasks by state
	put, got   uint64
}

// placed is a place in the order of submission.
type placed struct {
	stamp  int64
	record *record
}

// ownKey is an idempotency key, which is its owner's alone.
type ownKey struct {
	owner uint32
	key   string
}

func newStore(c config.Results, forget func([]*record), now func() time.Time) *store {
	return &store{config: c, forget: forget, now: now, tasks: map[task.ID]*record{}, keyed: map[ownKey]*record{}, batches: map[task.ID]*batch{},
		tombstones: map[task.ID]struct{}{}, counts: make([]int, len(task.Statuses()))}
}

// nextStamp returns the time, made later than all before.
func (s *store) nextStamp(now time.Time) int64 {
	s.stamp = max(s.stamp+1, now.UnixNano())
	return s.stamp
}

func (s *store) add(r *record) {
	s.tasks[r.task.ID] = r
	s.order = append(s.order, placed{r.stamp, r})
	s.stamp = max(s.stamp, r.stamp)
	s.counts[r.state.Load()]++
	if x := r.task.Extra; x != nil && x.IdempotencyKey != "" {
		s.keyed[ownKey{r.owner, x.IdempotencyKey}] = r
	}
}

// remove takes out a task as if it had never been.
func (s *store) remove(r *record) {
	delete(s.tasks, r.task.ID)
	s.counts[r.state.Load()]--
	if x := r.task.Extra; x != nil && x.IdempotencyKey != "" {
		delete(s.keyed, ownKey{r.owner, x.IdempotencyKey})
	}
	if i, ok := s.index(r.stamp); ok {
		s.order[i].record = nil
		s.gaps++
	}
	if s.gaps > 1024 && s.gaps > len(s.order)/2 {
		s.order = slices.DeleteFunc(s.order, func(p placed) bool { return p.record == nil })
		s.order = slices.Clip(s.order)
		s.gaps = 0
	}
}

// index returns where the task with a stamp is in order, or where it would be.
func (s *store) index(stamp int64) (int, bool) {
	return slices.BinarySearchFunc(s.order, stamp, func(p placed, stamp int64) int { return cmp.Compare(p.stamp, stamp) })
}

// after calls yield with at most n tasks submitted after a stamp, in order, until
// it returns false. It returns the last stamp looked at, and whether there may be
// more.
func (s *store) after(stamp int64, n int, yield func(*record) bool) (int64, bool) {
	i, _ := s.index(stamp + 1)
	for ; i < len(s.order); i++ {
		r := s.order[i].record
		if r == nil {
			continue
		}
		if n--; n < 0 {
			return stamp, true
		}
		stamp = r.stamp
		if !yield(r) {
			return stamp, true
		}
	}
	return stamp, false
}

// ended keeps the result of r from now on.
func (s *store) ended(r *record) {
	s.put++
	s.keep(r)
	s.evict(s.now())
}

func (s *store) keep(r *record) {
	ttl := s.config.TTL
	if x := r.task.Extra; x != nil && x.ResultTTL > 0 {
		ttl = time.Duration(x.ResultTTL)
	}
	k := keptResult{r, r.result.FinishedAt.Add(ttl).UnixNano(), weight(r)}
	heap.Push(&s.kept, k)
	s.bytes += k.bytes
}

// weight is about what r takes in memory.
func weight(r *record) int64 {
	n := int64(len(r.task.Params) + len(r.result.Data) + len(r.result.Stdout) + len(r.result.Stderr))
	if r.result.Error != nil {
		n += int64(len(r.result.Error.Message) + len(r.result.Error.Traceback))
	}
	if r.story != nil {
		n += r.story.bytes()
	}
	return n
}

// size is the number of results kept.
func (s *store) size() int { return len(s.kept) }

// find returns task.ErrNotFound or task.ErrEvicted for an id it does not have.
func (s *store) find(id task.ID) (*record, error) {
	s.evict(s.now())
	if r, ok := s.tasks[id]; ok {
		return r, nil
	}
	if _, ok := s.tombstones[id]; ok {
		return nil, fmt.Errorf("%w: %s", task.ErrEvicted, id)
	}
	return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
}

// evict lets go of what is too old, too many or too large.
func (s *store) evict(now time.Time) {
	var gone []*record
	for len(s.kept) > 0 {
		first := s.kept[0]
		if len(s.kept) <= s.config.Max && s.bytes <= s.config.MaxBytes && first.expires > now.UnixNano() {
			break
		}
		heap.Pop(&s.kept)
		s.bytes -= first.bytes
		s.remove(first.record)
		s.part(first.record, true)
		s.bury(first.record.task.ID)
		gone = append(gone, first.record)
	}
	if len(gone) > 0 {
		s.forget(gone)
	}
}

// next is when the next result is to be evicted.
func (s *store) next() (time.Time, bool) {
	if len(s.kept) == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, s.kept[0].expires), true
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

// keptResult is an ended task, when it is to be evicted, and what it takes.
type keptResult struct {
	record  *record
	expires int64
	bytes   int64
}

// expiries implements heap.Interface.
type expiries []keptResult

func (h expiries) Len() int           { return len(h) }
func (h expiries) Less(i, j int) bool { return h[i].expires < h[j].expires }
func (h expiries) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *expiries) Push(x any) { *h = append(*h, x.(keptResult)) }

// Pop implements heap.Interface.
func (h *expiries) Pop() any {
	last := len(*h) - 1
	k := (*h)[last]
	(*h)[last] = keptResult{}
	*h = (*h)[:last]
	return k
}
