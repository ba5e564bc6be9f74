package ledger

import (
	"cmp"
	"iter"
	"slices"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// Batch is the tasks that were submitted together. It is known as long as one of
// them is. A task that was sent again with others is a member of each batch that it
// came with.
type Batch struct {
	id    task.ID
	owner uint32
	store *Store
	// counts holds the accepted tasks by status, gone those of them that would outlive
	// the daemon and are no longer stored; kept is how many still are.
	counts, gone tally
	kept         int
	// noted: the journal has something of it beside its tasks.
	noted bool
	// ended are those that have, in that order.
	ended []place
	// changed is made when a reader waits, and closed at the next end.
	changed chan struct{}
}

// tally counts tasks by status, of which there are fewer.
type tally [8]int32

// place is one in the order in which the tasks of a batch have ended. It is that of their
// end numbers, but for some that were told a little later. The stamp is 0 where the task is
// no longer stored.
type place struct {
	end   uint64
	stamp int64
}

const (
	// MostFurther is in how many batches a task may be beside the one that it came with
	// first.
	MostFurther = 16
	// batchBytes is about what one of these takes if it has no other task.
	batchBytes = 256
)

// batch returns the batch with this id, made if need be.
func (s *Store) batch(id task.ID, owner uint32) *Batch {
	b := s.batches[id]
	if b == nil {
		b = &Batch{id: id, owner: owner, store: s}
		s.batches[id] = b
	}
	return b
}

// Join adds r, which is new, to the batch with this id; the zero id is none.
func (s *Store) Join(r *Record, id task.ID) {
	if id == (task.ID{}) {
		return
	}
	r.batch = s.batch(id, r.Owner)
	r.batch.count(r)
}

// MayJoin reports whether a task that was submitted before may be in one batch more.
func (s *Store) MayJoin(r *Record) bool { return len(s.further[r.stamp]) < MostFurther }

// JoinAgain adds tasks that were submitted before, and that MayJoin, to the batch with
// this id, which nobody reads yet, and returns it; tasks that are in it already are left
// out.
func (s *Store) JoinAgain(id task.ID, all []*Record) *Batch {
	b := s.batch(id, all[0].Owner)
	for _, r := range all {
		if s.has(b, r) {
			continue
		}
		s.further[r.stamp] = append(s.further[r.stamp], b)
		b.count(r)
		if r.phase == Ended {
			b.ends(r)
			s.kept.more(r.Owner, batchBytes)
		}
	}
	b.sort()
	return b
}

func (b *Batch) count(r *Record) {
	b.kept++
	b.counts[r.counted]++
}

// has reports whether r is a member of b.
func (s *Store) has(b *Batch, r *Record) bool {
	return r.batch == b || slices.Contains(s.further[r.stamp], b)
}

// sort brings those that have ended into the order of their ends. Nobody reads them yet.
func (b *Batch) sort() {
	b.ended = slices.DeleteFunc(b.ended, func(p place) bool { return p.stamp == 0 })
	slices.SortStableFunc(b.ended, byEnd)
}

func byEnd(x, y place) int { return cmp.Compare(x.end, y.end) }

// batchesOf yields the batches of which the task with a stamp is a member, that with which it
// came first included.
func (s *Store) batchesOf(stamp int64, first *Batch) iter.Seq[*Batch] {
	return func(yield func(*Batch) bool) {
		if first != nil && !yield(first) {
			return
		}
		if len(s.further) == 0 {
			return
		}
		for _, b := range s.further[stamp] {
			if !yield(b) {
				return
			}
		}
	}
}

// Member reports whether r is a member of the batch with this id.
func (s *Store) Member(r *Record, id task.ID) bool {
	for b := range s.batchesOf(r.stamp, r.batch) {
		if b.id == id {
			return true
		}
	}
	return false
}

// Same returns the batch that has these tasks, each named once, and no others; nil if
// there is none.
func (s *Store) Same(all []*Record) *Batch {
	for b := range s.batchesOf(all[0].stamp, all[0].batch) {
		if b.total() == len(all) && !slices.ContainsFunc(all, func(r *Record) bool { return !s.has(b, r) }) {
			return b
		}
	}
	return nil
}

// part takes the task with a stamp, which is no longer stored, out of its batches, and
// returns them. g is its gist; counted is whether it goes on counting there.
func (s *Store) part(stamp int64, g *gist, counted bool) (left []*Batch) {
	left = slices.Collect(s.batchesOf(stamp, g.batch))
	delete(s.further, stamp)
	for _, b := range left {
		switch {
		case !counted:
			b.counts[g.status]--
		case !g.volatile:
			b.gone[g.status]++
		}
		if b.kept--; b.kept == 0 {
			delete(s.batches, b.id)
		}
		if g.status.Terminal() {
			b.drop(place{g.end, stamp})
		}
	}
	return left
}

// drop takes one from those that have ended, if it is there.
func (b *Batch) drop(gone place) {
	i, _ := slices.BinarySearchFunc(b.ended, gone, byEnd)
	if i == len(b.ended) || b.ended[i] != gone { // it, or one there, is not in its order
		i = slices.Index(b.ended, gone)
	}
	if i >= 0 {
		b.ended[i].stamp = 0
	}
}

// ends notes that r has ended.
func (b *Batch) ends(r *Record) {
	b.ended = append(b.ended, place{r.end, r.stamp})
	b.wake()
}

func (b *Batch) wake() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// RestoreBatch gives a batch what was kept of it beside its tasks: how many of them, by
// status, are no longer stored, and the stamps of those that were submitted before it.
// It returns false when none of its tasks is stored.
func (s *Store) RestoreBatch(id task.ID, owner uint32, gone map[task.Status]int, joined []int64) bool {
	var all []*Record
	for _, stamp := range joined {
		if r := s.at(stamp); r != nil {
			all = append(all, r)
		}
	}
	if len(all) > 0 {
		s.JoinAgain(id, all)
	}
	b := s.batches[id]
	if b == nil {
		return false
	}
	b.noted = true
	for status, n := range gone {
		b.gone[status] += int32(n)
		b.counts[status] += int32(n)
	}
	return true
}

// SortEnds brings what was restored of every batch into the order in which it ended.
func (s *Store) SortEnds() {
	for _, b := range s.batches {
		b.sort()
	}
}

// ID returns by what it is known, Owner whose it is.
func (b *Batch) ID() task.ID { return b.id }

// Owner is explained at ID.
func (b *Batch) Owner() uint32 { return b.owner }

// Known reports whether one of its tasks is still stored.
func (b *Batch) Known() bool { return b.kept > 0 }

// Note reports whether the journal has something of the batch beside its tasks, and that
// it does or does not from now on.
func (b *Batch) Note(kept bool) (before bool) {
	before, b.noted = b.noted, kept
	return before
}

// Gone counts by status those that would outlive the daemon and are no longer stored.
func (b *Batch) Gone() map[task.Status]int {
	gone := map[task.Status]int{}
	for status, n := range b.gone {
		if n > 0 {
			gone[task.Status(status)] = int(n)
		}
	}
	return gone
}

// total is how many tasks were accepted.
func (b *Batch) total() (n int) {
	for _, count := range b.counts {
		n += int(count)
	}
	return n
}

// done reports whether every task has ended.
func (b *Batch) done() bool {
	for status, n := range b.counts {
		if n > 0 && !task.Status(status).Terminal() {
			return false
		}
	}
	return true
}

// View reports how far the batch is.
func (b *Batch) View() api.BatchView {
	v := api.BatchView{ID: b.id, Tasks: map[string]int{}, Total: b.total(), Done: b.done()}
	for _, s := range task.Statuses() {
		v.Tasks[s.String()] = int(b.counts[s])
	}
	return v
}

// Results returns the next of the results that are still kept, in the order in which
// the tasks ended, from a place on, and the place after them. last reports that there
// will be no more; more is closed when there are.
func (b *Batch) Results(from int, p Portion) (results []*task.Result, next int, last bool, more <-chan struct{}) {
	for ; from < len(b.ended) && len(results) < p.Items; from++ {
		r := b.store.at(b.ended[from].stamp) // 0 is no task's
		if r == nil {
			continue
		}
		if p.Bytes -= r.result.Size(); len(results) > 0 && p.Bytes < 0 {
			break
		}
		results = append(results, r.result)
	}
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return results, from, b.done() && from == len(b.ended), b.changed
}
