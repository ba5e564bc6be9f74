// Package ledger is what the engine knows of its tasks: a Record of each with its
// phase, the Store that finds, lists, keeps and evicts them, the batches in which
// they came, and the logs of their events.
//
// Guarantees: a task moves along one table of phases, and an illegal move is an error
// that changes nothing; the counts of a Store and of a batch are those of its tasks;
// what is kept stays within its bounds; cursors never go back.
//
// It is plain data: it has no lock, no goroutine and no clock, and does no I/O. Its
// owner serialises all calls and says what time it is.
package ledger

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

// Bounds say for how long ended tasks are kept, how many and how large.
type Bounds struct {
	TTL      time.Duration
	Max      int
	MaxBytes int64
}

// Store finds tasks by id and lists them in the order in which they were submitted.
// It keeps ended ones within its bounds.
type Store struct {
	bounds Bounds
	tasks  map[task.ID]*Record
	// keyed finds the tasks with an idempotency key.
	keyed map[ownKey]*Record
	// order is all tasks by stamp, without a record where one was evicted; gaps
	// counts those.
	order   []placed
	gaps    int
	batches map[task.ID]*Batch
	// further are the batches of a task beside the one that it came with first.
	further map[*Record][]*Batch
	// ends numbers the tasks that have ended.
	ends uint64
	// stamp is the last one given.
	stamp int64
	kept  keeping
	// logs numbers those that were ever counted of tasks that had not ended.
	logs       uint64
	tombstones tombstones
	counts     []int // of the tasks by status
	put, got   uint64
}

// placed is a place in the order of submission.
type placed struct {
	stamp  int64
	record *Record
}

// ownKey is an idempotency key, which is its owner's alone.
type ownKey struct {
	owner uint32
	key   string
}

// NewStore returns an empty Store.
func NewStore(b Bounds) *Store {
	return &Store{bounds: b, tasks: map[task.ID]*Record{}, keyed: map[ownKey]*Record{}, batches: map[task.ID]*Batch{},
		further: map[*Record][]*Batch{}, kept: newKeeping(), tombstones: newTombstones(), counts: make([]int, len(task.Statuses()))}
}

// SetBounds changes the bounds, for the next Evict.
func (s *Store) SetBounds(b Bounds) { s.bounds = b }

// Stamp notes that r is submitted now, later than all before whatever the clocks show.
func (s *Store) Stamp(r *Record, now queue.Now) {
	s.stamp = max(s.stamp+1, now.Wall.UnixNano())
	r.stamp = s.stamp
	r.submitted, r.uptime = now.Wall.UnixNano(), now.Uptime
}

// Add takes in a task that has a stamp, as Arriving.
func (s *Store) Add(r *Record) {
	s.tasks[r.Task.ID] = r
	s.order = append(s.order, placed{r.stamp, r})
	s.stamp = max(s.stamp, r.stamp)
	s.counts[r.status]++
	if x := r.Task.Extra; x != nil && x.IdempotencyKey != "" {
		s.keyed[ownKey{r.Owner, x.IdempotencyKey}] = r
	}
}

// Restore takes in a task of before, with what Submitted and SubmittedAt returned then;
// it is Delayed.
func (s *Store) Restore(r *Record, submitted time.Time, at queue.Now) {
	r.stamp, r.phase = submitted.UnixNano(), Delayed
	r.submitted, r.uptime = at.Wall.UnixNano(), at.Uptime
	s.Add(r)
	s.countLog(r)
}

// Move brings r to another phase. It returns ErrIllegalMove, and changes nothing, when
// the table does not have the move. End makes the move to Ended.
func (s *Store) Move(r *Record, to Phase) error {
	if !r.phase.CanBecome(to) || to == Ended {
		return fmt.Errorf("%w: from %s to %s", ErrIllegalMove, r.phase, to)
	}
	from := r.phase
	if r.phase = to; from.InSlot() && (to == Ready || to == Delayed) || to == Sent {
		s.countLog(r)
	}
	if status, ok := to.status(); ok {
		s.show(r, status)
	}
	return nil
}

// show changes what clients see of r.
func (s *Store) show(r *Record, status task.Status) {
	s.counts[r.status]--
	s.counts[status]++
	for b := range s.batchesOf(r) {
		b.counts[r.status]--
		b.counts[status]++
	}
	r.status = status
}

// End lets everybody see how a task that is Ending has ended, and keeps its Result
// from now on. It returns what had to make room for that.
func (s *Store) End(r *Record, res *task.Result, uptime time.Duration) (gone Evicted, err error) {
	if !r.phase.CanBecome(Ended) {
		return gone, fmt.Errorf("%w: from %s to %s as %s", ErrIllegalMove, r.phase, Ended, res.Status)
	}
	s.put++
	batches := slices.Collect(s.batchesOf(r))
	// r itself may go, if it is too large; who waits for it has it all the same.
	if k := s.ended(r, res, uptime); k.bytes > s.bounds.MaxBytes {
		s.evict(k, tombstoneOf(k), &gone) // and not all else that its owner has
	}
	s.evictAll(uptime, &gone)
	if r.done != nil {
		close(r.done)
	}
	for _, b := range batches {
		if s.tasks[r.Task.ID] == r {
			b.ends(r)
		} else {
			b.wake() // it may be done
		}
	}
	return gone, nil
}

// Announce returns the event of the Result of a task that has just ended, and who is
// to hear of it. The event is nil when nobody is, now or later.
func (s *Store) Announce(r *Record, b EventBounds) (ev *task.Event, watchers []Watching) {
	watchers = r.UnwatchAll()
	if len(watchers) == 0 && r.log == nil {
		return nil, nil
	}
	ev = r.ResultEvent()
	if r.log != nil {
		r.log.add(ev, b)
	}
	s.got += uint64(len(watchers))
	return ev, watchers
}

// RestoreEnd gives a task that was restored the end that it had, so long ago that the
// uptime was that, as the end of that order. It is not counted as a new one.
func (s *Store) RestoreEnd(r *Record, res *task.Result, at task.Cursor, uptime time.Duration, order uint64) {
	r.end, s.ends = order, max(s.ends, order)
	r.Attempts, r.events, r.marked = uint32(res.Attempts), at.Seq, uint32(at.Attempt)
	if r.result = res; r.log != nil {
		r.log.events = append(r.log.events, r.ResultEvent())
	}
	s.ended(r, res, uptime)
	for b := range s.batchesOf(r) {
		b.ends(r)
	}
}

// NumberEnd gives the end of r its number, in the order of which a batch's results come.
func (s *Store) NumberEnd(r *Record) uint64 {
	s.ends++
	r.end = s.ends
	return r.end
}

func (s *Store) ended(r *Record, res *task.Result, uptime time.Duration) *kept {
	r.phase, r.result = Ended, res
	s.show(r, res.Status)
	return s.keep(r, uptime)
}

// Refuse takes out a task that was not accepted as if it had never been. Who waits for its
// Result is woken, and finds none.
func (s *Store) Refuse(r *Record) error {
	if err := s.Move(r, Refused); err != nil {
		return err
	}
	s.uncount(r)
	left := s.part(r, false)
	s.remove(r)
	for _, b := range left {
		b.wake()
	}
	if r.done != nil {
		close(r.done)
	}
	if r.log != nil {
		r.log.wake()
	}
	return nil
}

func (s *Store) remove(r *Record) {
	delete(s.tasks, r.Task.ID)
	s.counts[r.status]--
	if x := r.Task.Extra; x != nil && x.IdempotencyKey != "" {
		if key := (ownKey{r.Owner, x.IdempotencyKey}); s.keyed[key] == r { // else a later one has it
			delete(s.keyed, key)
		}
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
func (s *Store) index(stamp int64) (int, bool) {
	return slices.BinarySearchFunc(s.order, stamp, func(p placed, stamp int64) int { return cmp.Compare(p.stamp, stamp) })
}

// After looks at up to n places in the order of submission after a stamp and calls yield with
// the tasks that are there, until it returns false. It returns the last stamp that was looked at
// and whether there may be more.
func (s *Store) After(stamp int64, n int, yield func(*Record) bool) (int64, bool) {
	i, found := s.index(stamp)
	if found {
		i++
	}
	for ; i < len(s.order); i++ {
		if n--; n < 0 {
			return stamp, true
		}
		stamp = s.order[i].stamp
		if r := s.order[i].record; r != nil && !yield(r) {
			return stamp, true
		}
	}
	return stamp, false
}

// Get returns the task with this id, or nil.
func (s *Store) Get(id task.ID) *Record { return s.tasks[id] }

// Keyed returns the owner's task with this idempotency key, or nil.
func (s *Store) Keyed(owner uint32, key string) *Record { return s.keyed[ownKey{owner, key}] }

// All yields every task, in no order. The Store does not change meanwhile.
func (s *Store) All() iter.Seq[*Record] { return maps.Values(s.tasks) }

// Find returns for an id that it does not have task.ErrEvicted, if it had one of an owner
// whose tasks are visible to who asks and remembers that, else task.ErrNotFound.
func (s *Store) Find(id task.ID, visible func(owner uint32) bool) (*Record, error) {
	if r, ok := s.tasks[id]; ok {
		return r, nil
	}
	if s.tombstones.has(id, visible) {
		return nil, fmt.Errorf("%w: %s", task.ErrEvicted, id)
	}
	return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
}

// Batch returns the batch with this id, or nil.
func (s *Store) Batch(id task.ID) *Batch { return s.batches[id] }

// Count returns how many tasks clients see in a status.
func (s *Store) Count(status task.Status) int { return s.counts[status] }

// Size and Bytes are how many results are kept, and how much they have together, with the
// events of tasks that have not ended.
func (s *Store) Size() int { return s.kept.count }

// Bytes is explained at Size.
func (s *Store) Bytes() int64 { return s.kept.bytes }

// Put counts the tasks that have ended, Got the results that somebody was given.
func (s *Store) Put() uint64 { return s.put }

// Got is explained at Put.
func (s *Store) Got() uint64 { return s.got }

// Given notes that n results were given to somebody.
func (s *Store) Given(n int) { s.got += uint64(n) }
