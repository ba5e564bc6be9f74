package ledger

import (
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// Batch is the tasks that were submitted together. It is known as long as one of
// them is.
type Batch struct {
	id    task.ID
	owner uint32
	// counts holds the accepted tasks by status; kept is how many are still stored.
	counts []int
	kept   int
	// ended are those that have, in that order, nil where one is no longer stored;
	// those before head are all nil.
	ended []*Record
	head  int
	// changed is made when a reader waits, and closed at the next end.
	changed chan struct{}
}

// Join adds r, which is new, to the batch with this id; the zero id is none.
func (s *Store) Join(r *Record, id task.ID) {
	if id == (task.ID{}) {
		return
	}
	b := s.batches[id]
	if b == nil {
		b = &Batch{id: id, owner: r.Owner, counts: make([]int, len(s.counts))}
		s.batches[id] = b
	}
	r.batch = b
	b.kept++
	b.counts[r.status]++
}

// part takes r out of its batch; counted is whether it goes on counting there.
func (s *Store) part(r *Record, counted bool) {
	b := r.batch
	if b == nil {
		return
	}
	if !counted {
		b.counts[r.status]--
	}
	if b.kept--; b.kept == 0 {
		delete(s.batches, b.id)
	}
	for i := b.head; i < len(b.ended); i++ { // mostly the first
		if b.ended[i] == r {
			b.ended[i] = nil
			break
		}
	}
	for b.head < len(b.ended) && b.ended[b.head] == nil {
		b.head++
	}
}

// ends notes that r has ended.
func (b *Batch) ends(r *Record) {
	b.ended = append(b.ended, r)
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Owner returns whose batch it is.
func (b *Batch) Owner() uint32 { return b.owner }

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
	v := api.BatchView{ID: b.id, Tasks: map[string]int{}, Done: b.done()}
	for _, s := range task.Statuses() {
		v.Tasks[s.String()] = b.counts[s]
		v.Total += b.counts[s]
	}
	return v
}

// Results returns at most n of the results that are still kept, in the order in which
// the tasks ended, from a place on, and the place after them. last reports that there
// will be no more; more is closed when there are.
func (b *Batch) Results(from, n int) (results []*task.Result, next int, last bool, more <-chan struct{}) {
	for ; from < len(b.ended) && len(results) < n; from++ {
		if r := b.ended[from]; r != nil {
			results = append(results, r.result)
		}
	}
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return results, from, b.done() && from == len(b.ended), b.changed
}
