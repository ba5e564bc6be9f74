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
	"encoding/binary"
	"fmt"
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
	// tasks are by stamp. ids finds the stamp of a task, keyed that of one with an
	// idempotency key.
	tasks   pages
	ids     ids
	keyed   map[ownKey]int64
	commons commons
	// whole are the stamps of those that ended last, in a ring of which next is the oldest:
	// they are to be packed. scratch is for that.
	whole   []int64
	next    int
	scratch []byte
	batches map[task.ID]*Batch
	// further are the batches of a task beside the one that it came with first, by stamp.
	further map[int64][]*Batch
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

// ownKey is an idempotency key, which is its owner's alone.
type ownKey struct {
	owner uint32
	key   string
}

// NewStore returns an empty Store.
func NewStore(b Bounds) *Store {
	return &Store{bounds: b, ids: newIDs(), keyed: map[ownKey]int64{}, whole: make([]int64, wholeEnds), batches: map[task.ID]*Batch{},
		further: map[int64][]*Batch{}, kept: newKeeping(), tombstones: newTombstones(), counts: make([]int, len(task.Statuses()))}
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
	s.tasks.add(r)
	s.ids.set(r.Task.ID, r.stamp)
	s.stamp = max(s.stamp, r.stamp)
	s.counts[r.counted]++
	if x := r.Task.Extra; x != nil && x.IdempotencyKey != "" {
		s.keyed[ownKey{r.Owner, x.IdempotencyKey}] = r.stamp
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

// Early has r, which may not be accepted, count as pending until Accept.
func (s *Store) Early(r *Record) { r.early = true }

// Accept has r count as what it is.
func (s *Store) Accept(r *Record) {
	r.early = false
	s.count(r)
}

// show changes what clients see of r.
func (s *Store) show(r *Record, status task.Status) {
	if r.status = status; !r.early {
		s.count(r)
	}
}

// count counts r as what clients see.
func (s *Store) count(r *Record) {
	s.counts[r.counted]--
	s.counts[r.status]++
	for b := range s.batchesOf(r.stamp, r.batch) {
		b.counts[r.counted]--
		b.counts[r.status]++
	}
	r.counted = r.status
}

// End lets everybody see how a task that is Ending has ended, and keeps its Result
// from now on. It returns what had to make room for that.
func (s *Store) End(r *Record, res *task.Result, uptime time.Duration) (gone Evicted, err error) {
	if !r.phase.CanBecome(Ended) {
		return gone, fmt.Errorf("%w: from %s to %s as %s", ErrIllegalMove, r.phase, Ended, res.Status)
	}
	s.put++
	if r.log != nil {
		r.log.forgetPrinted()
	}
	batches := slices.Collect(s.batchesOf(r.stamp, r.batch))
	// r itself may go, if it is too large; who waits for it has it all the same.
	if bytes := s.ended(r, res, uptime); bytes > s.bounds.MaxBytes {
		s.evict(r.stamp, uptime, false, &gone) // and not all else that its owner has
	}
	s.evictAll(uptime, &gone)
	if r.done != nil {
		close(r.done)
	}
	for _, b := range batches {
		if s.Has(r) {
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
		if len(r.log.events) == 1 { // what was printed was all that there was
			r.log = nil
		}
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
	for b := range s.batchesOf(r.stamp, r.batch) {
		b.ends(r)
	}
}

// NumberEnd gives the end of r its number, in the order of which a batch's results come.
func (s *Store) NumberEnd(r *Record) uint64 {
	s.ends++
	r.end = s.ends
	return r.end
}

// ended keeps the Result of r, and returns how many bytes are counted for that.
func (s *Store) ended(r *Record, res *task.Result, uptime time.Duration) (bytes int64) {
	r.phase, r.result, r.early = Ended, res, false
	s.show(r, res.Status)
	s.packLater(r.stamp)
	return s.keep(r, uptime)
}

// packLater has a task that has ended be packed once so many others have.
func (s *Store) packLater(stamp int64) {
	stamp, s.whole[s.next] = s.whole[s.next], stamp
	s.next = (s.next + 1) % len(s.whole)
	at, ok := s.tasks.find(stamp) // 0 is no task's
	if !ok {
		return
	}
	r := at.record()
	if r == nil || !fits(r) {
		return
	}
	const mostLen = binary.MaxVarintLen64
	text := s.commons.pack(append(s.scratch[:0], make([]byte, mostLen)...), r)
	length := binary.AppendUvarint(nil, uint64(len(text)-mostLen))
	s.scratch = text
	text = text[mostLen-len(length):]
	copy(text, length)
	at.page.pack(at.i, text)
}

// Refuse takes out a task that was not accepted as if it had never been. Who waits for its
// Result is woken, and finds none.
func (s *Store) Refuse(r *Record) error {
	if err := s.Move(r, Refused); err != nil {
		return err
	}
	s.uncount(r)
	g := gistOf(r)
	left := s.part(r.stamp, &g, false)
	s.remove(r.stamp, &g)
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

// remove takes out the task with a stamp, of which g is the gist.
func (s *Store) remove(stamp int64, g *gist) {
	if at, ok := s.tasks.find(stamp); ok {
		s.tasks.remove(at)
	}
	if g.packed {
		s.commons.drop(g)
	}
	s.ids.remove(g.id)
	s.counts[g.status]--
	if key := (ownKey{g.owner, g.key}); g.key != "" && s.keyed[key] == stamp { // else a later one has it
		delete(s.keyed, key)
	}
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
