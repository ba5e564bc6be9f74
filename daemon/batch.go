package daemon

import (
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// batch is the tasks that were submitted together. It is known as long as one of
// them is. Engine.mu guards it.
type batch struct {
	id    task.ID
	owner uint32
	// counts is by state, of all that were accepted; of them kept are still known.
	counts []int
	kept   int
	// ended are those that have, in that order, nil where one is no longer known;
	// those before head are all nil.
	ended []*record
	head  int
	// changed is made when a reader waits, and closed at the next end.
	changed chan struct{}
}

// join adds r, which is new, to the batch with this id.
func (s *store) join(r *record, id task.ID) {
	if id == (task.ID{}) {
		return
	}
	b := s.batches[id]
	if b == nil {
		b = &batch{id: id, owner: r.owner, counts: make([]int, len(s.counts))}
		s.batches[id] = b
	}
	r.batch = b
	b.kept++
	b.counts[r.state.Load()]++
}

// part takes r out of its batch; counted is whether it goes on counting there.
func (s *store) part(r *record, counted bool) {
	b := r.batch
	if b == nil {
		return
	}
	if !counted {
		b.counts[r.state.Load()]--
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

// told notes that r has ended.
func (b *batch) told(r *record) {
	b.ended = append(b.ended, r)
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// done reports whether every task has ended.
func (b *batch) done() bool {
	for status, n := range b.counts {
		if n > 0 && !task.Status(status).Terminal() {
			return false
		}
	}
	return true
}

// view says how far the batch is.
func (b *batch) view() api.BatchView {
	v := api.BatchView{ID: b.id, Tasks: map[string]int{}, Done: b.done()}
	for _, s := range task.Statuses() {
		v.Tasks[s.String()] = b.counts[s]
		v.Total += b.counts[s]
	}
	return v
}
