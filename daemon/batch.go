package daemon

import (
	"context"
	"fmt"
	"iter"

	"cpulb/daemon/access"
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

func (e *Engine) findBatch(who access.Identity, id task.ID) (*batch, error) {
	b, ok := e.store.batches[id]
	if !ok || e.rules.Check(who, access.Request{Action: access.See, Owner: b.owner}) != nil {
		return nil, fmt.Errorf("%w: %s", api.ErrBatchNotFound, id)
	}
	return b, nil
}

// Batch tells how far a batch is. Errors: api.ErrBatchNotFound.
func (e *Engine) Batch(who access.Identity, id task.ID) (api.BatchView, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := e.findBatch(who, id)
	if err != nil {
		return api.BatchView{}, err
	}
	v := api.BatchView{ID: id, Tasks: map[string]int{}, Done: b.done()}
	for _, s := range task.Statuses() {
		v.Tasks[s.String()] = b.counts[s]
		v.Total += b.counts[s]
	}
	return v, nil
}

// BatchResults returns the Results that are still kept, in the order in which the
// tasks ended, then those to come, to the last. The error within is ctx's, or
// api.ErrDraining. Errors: api.ErrBatchNotFound.
func (e *Engine) BatchResults(ctx context.Context, who access.Identity, id task.ID) (iter.Seq2[*task.Result, error], error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := e.findBatch(who, id)
	if err != nil {
		return nil, err
	}
	return func(yield func(*task.Result, error) bool) { e.deliver(ctx, b, yield) }, nil
}

// resultsAtOnce bounds for how long the engine is held up by a reader.
const resultsAtOnce = 1000

func (e *Engine) deliver(ctx context.Context, b *batch, yield func(*task.Result, error) bool) {
	for next := 0; ; {
		e.mu.Lock()
		var results []*task.Result
		for ; next < len(b.ended) && len(results) < resultsAtOnce; next++ {
			if r := b.ended[next]; r != nil {
				results = append(results, r.result)
				e.store.got++
			}
		}
		done := b.done() && next == len(b.ended)
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		more := b.changed
		e.mu.Unlock()
		for _, res := range results {
			if !yield(res, nil) {
				return
			}
		}
		switch {
		case done:
			return
		case len(results) > 0:
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			yield(nil, ctx.Err())
			return
		case <-e.stopped:
			yield(nil, fmt.Errorf("%w before batch %s has ended", api.ErrDraining, b.id))
			return
		}
	}
}
