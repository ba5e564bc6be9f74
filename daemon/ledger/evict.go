package ledger

import (
	"container/heap"
	"time"

	"cpulb/daemon/task"
)

// keep counts the Result of r, which ended at an uptime.
func (s *Store) keep(r *Record, uptime time.Duration) {
	ttl := s.bounds.TTL
	if x := r.Task.Extra; x != nil && x.ResultTTL > 0 {
		ttl = time.Duration(x.ResultTTL)
	}
	k := keptResult{r, task.Sum(uptime, ttl), weight(r)}
	heap.Push(&s.kept, k)
	s.bytes += k.bytes
}

// weight is about what r takes in memory.
func weight(r *Record) int64 {
	n := int64(len(r.Task.Params) + len(r.result.Data) + len(r.result.Stdout) + len(r.result.Stderr))
	if r.result.Error != nil {
		n += int64(len(r.result.Error.Message) + len(r.result.Error.Traceback))
	}
	if r.log != nil {
		n += r.log.size()
	}
	return n
}

// Evicted is what was dropped, and the batches of which it was.
type Evicted struct {
	Records []*Record
	Batches map[*Batch]struct{}
}

// Evict drops the results that are too old, too many or too large, and returns them.
func (s *Store) Evict(uptime time.Duration) (gone Evicted) {
	for len(s.kept) > 0 {
		first := s.kept[0]
		if len(s.kept) <= s.bounds.Max && s.bytes <= s.bounds.MaxBytes && first.expires > uptime {
			break
		}
		heap.Pop(&s.kept)
		s.bytes -= first.bytes
		s.remove(first.record)
		for _, b := range s.part(first.record, true) {
			if gone.Batches == nil {
				gone.Batches = map[*Batch]struct{}{}
			}
			gone.Batches[b] = struct{}{}
		}
		s.bury(first.record.Task.ID)
		gone.Records = append(gone.Records, first.record)
	}
	return gone
}

// NextEviction returns at what uptime the next result is too old; false if there is none.
func (s *Store) NextEviction() (time.Duration, bool) {
	if len(s.kept) == 0 {
		return 0, false
	}
	return s.kept[0].expires, true
}

func (s *Store) bury(id task.ID) {
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
	record  *Record
	expires time.Duration // an uptime
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
