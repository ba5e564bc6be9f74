package ipctest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

func (e *Engine) find(who access.Identity, a access.Action, id task.ID) (*record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.tasks[id]
	owner, evicted := e.evicted[id]
	switch {
	case r != nil && e.Rules.Check(who, access.Request{Action: a, Owner: r.owner}) == nil:
		return r, nil
	case evicted && e.Rules.Check(who, access.Request{Action: a, Owner: owner}) == nil:
		return nil, fmt.Errorf("%w: %s", task.ErrEvicted, id)
	}
	return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
}

// Evict forgets a task but for its id.
func (e *Engine) Evict(id task.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.evicted[id] = e.tasks[id].owner
	delete(e.tasks, id)
	e.order = slices.DeleteFunc(e.order, func(r *record) bool { return r.task.ID == id })
}

func (r *record) view() task.View {
	return task.View{ID: r.task.ID, Status: r.status, ScriptPath: r.task.ScriptPath, Function: r.task.Function, Type: r.task.Type, Pool: "cpu",
		Priority: r.task.Priority, Labels: r.task.Labels, SubmittedAt: r.submitted}
}

// View implements ipc.Engine.
func (e *Engine) View(_ context.Context, who access.Identity, id task.ID) (task.View, error) {
	r, err := e.find(who, access.See, id)
	if err != nil {
		return task.View{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return r.view(), nil
}

// Result implements ipc.Engine.
func (e *Engine) Result(ctx context.Context, who access.Identity, id task.ID) (*task.Result, error) {
	r, err := e.find(who, access.See, id)
	if err != nil {
		return nil, err
	}
	select {
	case <-r.done:
		return r.result, nil
	default:
	}
	select {
	case <-r.done:
		return r.result, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Ended implements ipc.Engine.
func (e *Engine) Ended(ctx context.Context, who access.Identity, id task.ID) (*task.Event, error) {
	if _, err := e.Result(ctx, who, id); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	events := e.tasks[id].events
	return events[len(events)-1], nil
}

// Cancel implements ipc.Engine.
func (e *Engine) Cancel(who access.Identity, id task.ID, done func(task.View, error)) {
	r, err := e.find(who, access.Stop, id)
	if err != nil {
		done(task.View{}, err)
		return
	}
	e.stop(id)
	e.mu.Lock()
	view := r.view()
	e.mu.Unlock()
	done(view, nil)
}

func (e *Engine) stop(id task.ID) {
	e.End(id, task.Result{Status: task.Cancelled,
		Error: &task.Error{Type: "TaskCancelled", Message: "the task was cancelled", Code: "cancelled"}})
}

// Rerun implements ipc.Engine.
func (e *Engine) Rerun(ctx context.Context, who access.Identity, id task.ID, room func(bytes int64) error, done func(task.View, error)) {
	if err := e.Rules.MaySubmit(who); err != nil {
		done(task.View{}, err)
		return
	}
	r, err := e.find(who, access.See, id)
	if err != nil {
		done(task.View{}, err)
		return
	}
	if err := room(r.task.Size()); err != nil {
		done(task.View{}, err)
		return
	}
	again := *r.task
	again.ID = task.NewID()
	e.Submit(ctx, who, &again, nil, done)
}

// matching lists the tasks that f selects and that who may act on, by submission.
// e.mu is held.
func (e *Engine) matching(who access.Identity, a access.Action, f api.Filter) []*record {
	var all []*record
	for _, r := range e.order {
		fits := len(f.Statuses) == 0 || slices.Contains(f.Statuses, r.status)
		for name, value := range f.Labels {
			has, ok := r.task.Labels[name]
			fits = fits && ok && has == value
		}
		fits = fits && (f.Batch == task.ID{} || slices.Contains(e.batches[f.Batch], r))
		fits = fits && !r.submitted.Before(f.Since)
		if fits && e.Rules.Check(who, access.Request{Action: a, Owner: r.owner}) == nil {
			all = append(all, r)
		}
	}
	return all
}

// List implements ipc.Engine.
func (e *Engine) List(_ context.Context, who access.Identity, f api.Filter, p api.Page, yield func(task.View) bool) (next string, err error) {
	start, limit := 0, 100
	if p.Limit > 0 {
		limit = p.Limit
	}
	if p.After != "" {
		if start, err = strconv.Atoi(p.After); err != nil || start < 0 {
			return "", fmt.Errorf("%w: %.64q", api.ErrBadCursor, p.After)
		}
	}
	e.mu.Lock()
	var page []task.View
	all := e.matching(who, access.See, f)
	if p.Newest {
		slices.Reverse(all)
	}
	for i, r := range all {
		if i < start {
			continue
		}
		if len(page) == limit {
			next = strconv.Itoa(i)
			break
		}
		page = append(page, r.view())
	}
	e.mu.Unlock()
	for _, v := range page {
		if !yield(v) {
			break
		}
	}
	return next, nil
}

// CancelAll implements ipc.Engine.
func (e *Engine) CancelAll(_ context.Context, who access.Identity, f api.Filter) (int, error) {
	e.mu.Lock()
	all := slices.DeleteFunc(e.matching(who, access.Stop, f), func(r *record) bool { return r.result != nil })
	e.mu.Unlock()
	for _, r := range all {
		e.stop(r.task.ID)
	}
	return len(all), nil
}

// Forget drops all kept events of a task but the last n, and leaves a gap event.
func (e *Engine) Forget(id task.ID, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.tasks[id]
	cut := len(r.events) - n
	gap := &task.Event{Kind: task.EventGap, ID: id, Cursor: r.events[cut-1].Cursor, Missed: uint64(cut)}
	r.events = append([]*task.Event{gap}, r.events[cut:]...)
}

// Events implements ipc.Engine.
func (e *Engine) Events(ctx context.Context, who access.Identity, id task.ID, after task.Cursor) (iter.Seq2[[]*task.Event, error], error) {
	r, err := e.find(who, access.See, id)
	if err != nil {
		return nil, err
	}
	return func(yield func([]*task.Event, error) bool) {
		for {
			e.mu.Lock()
			var events []*task.Event
			for _, ev := range r.events {
				if ev.Cursor.Compare(after) > 0 {
					events = append(events, ev)
				}
			}
			over := len(events) == 0 && r.result != nil && r.events[len(r.events)-1].Kind == task.EventResult
			e.mu.Unlock()
			if n := len(events); n > 0 {
				after = events[n-1].Cursor
				if !yield(events, nil) || events[n-1].Kind == task.EventResult {
					return
				}
			}
			more := func() bool { return len(r.events) > 0 && r.events[len(r.events)-1].Cursor.Compare(after) > 0 }
			if over || e.pause(ctx, more, func(err error) { yield(nil, err) }) {
				return
			}
		}
	}, nil
}

// pause waits until ready, which is called with e.mu held, and returns false. Once
// nothing more will come it calls fail and returns true.
func (e *Engine) pause(ctx context.Context, ready func() bool, fail func(error)) bool {
	for {
		e.mu.Lock()
		is, changed, stopped := ready(), e.changed, e.stopped
		e.mu.Unlock()
		switch {
		case is:
			return false
		case stopped:
			fail(api.ErrDraining)
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			fail(ctx.Err())
			return true
		}
	}
}
