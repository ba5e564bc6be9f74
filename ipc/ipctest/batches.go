package ipctest

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// SubmitBatch implements ipc.Engine.
func (e *Engine) SubmitBatch(ctx context.Context, who access.Identity, id task.ID, tasks []*task.Task, done func(task.ID, []task.ID, []error)) {
	ids, errs := make([]task.ID, len(tasks)), make([]error, len(tasks))
	for i, t := range tasks {
		var r *record
		if r, errs[i] = e.take(who, t, nil); errs[i] != nil {
			continue
		}
		ids[i] = r.task.ID
		e.mu.Lock()
		e.batches[id] = append(e.batches[id], r)
		e.change()
		e.mu.Unlock()
	}
	e.answer(ctx, func() { done(id, ids, errs) })
}

func (e *Engine) findBatch(who access.Identity, id task.ID) ([]*record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.batches[id]
	if len(all) == 0 || e.Rules.Check(who, access.Request{Action: access.See, Owner: all[0].owner}) != nil {
		return nil, fmt.Errorf("%w: %s", api.ErrBatchNotFound, id)
	}
	return slices.Clone(all), nil
}

// Batch implements ipc.Engine.
func (e *Engine) Batch(who access.Identity, id task.ID) (api.BatchView, error) {
	all, err := e.findBatch(who, id)
	if err != nil {
		return api.BatchView{}, err
	}
	v := api.BatchView{ID: id, Total: len(all), Tasks: map[string]int{}, Done: true}
	for _, s := range task.Statuses() {
		v.Tasks[s.String()] = 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range all {
		v.Tasks[r.status.String()]++
		v.Done = v.Done && r.status.Terminal()
	}
	return v, nil
}

// BatchResults implements ipc.Engine.
func (e *Engine) BatchResults(ctx context.Context, who access.Identity, id task.ID) (iter.Seq2[[]*task.Result, error], error) {
	all, err := e.findBatch(who, id)
	if err != nil {
		return nil, err
	}
	return func(yield func([]*task.Result, error) bool) {
		for len(all) > 0 {
			next := -1
			ended := func() bool {
				next = slices.IndexFunc(all, func(r *record) bool { return r.result != nil })
				return next >= 0
			}
			if e.pause(ctx, ended, func(err error) { yield(nil, err) }) || !yield([]*task.Result{all[next].result}, nil) {
				return
			}
			all = slices.Delete(all, next, next+1)
		}
	}, nil
}
