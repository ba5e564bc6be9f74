package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Submit accepts t, which must not change afterwards, and starts it as soon as a
// slot is free. w, which may be nil, is told of what follows. Submitting the
// same task again is safe: it answers with the task as it stands and adds w.
//
// Errors: a task.FieldError when t can't run here, task.ErrConflict when the id
// names another task, task.ErrQueueFull, task.ErrDraining.
func (e *Engine) Submit(t *task.Task, w task.Watcher) (task.View, error) {
	if err := refuseUnserved(t); err != nil {
		return task.View{}, err
	}
	r := &record{task: t, submitted: time.Now()}
	if err := e.scripts.check(t.ScriptPath, r.submitted); err != nil {
		return task.View{}, err
	}
	e.mu.Lock()
	known, ok := e.store.tasks[t.ID]
	if ok {
		defer e.mu.Unlock()
		if !known.task.Same(t) {
			return task.View{}, fmt.Errorf("%w: %s", task.ErrConflict, t.ID)
		}
		known.watch(w)
		return known.view(), nil
	}
	err := e.admit(r, w)
	if err != nil {
		e.mu.Unlock()
		return task.View{}, err
	}
	view := r.view()
	send := r.pool.dispatch()
	e.mu.Unlock()
	send.now()
	return view, nil
}

// admit puts r into the queue of its pool. e.mu is held.
func (e *Engine) admit(r *record, w task.Watcher) error {
	if e.draining || !e.running {
		return task.ErrDraining
	}
	p, err := e.poolFor(r.task)
	if err != nil {
		return err
	}
	r.pool = p
	r.item, err = e.queue.Push(r.submitted, r, queue.Entry{Lane: p.laneFor(r.task).index, Priority: r.task.Priority, Bytes: int64(len(r.task.Params))})
	if err != nil {
		return fmt.Errorf("%w: %d tasks wait", task.ErrQueueFull, e.queue.Len())
	}
	if err := r.state.Move(task.Pending, task.Queued); err != nil {
		return err
	}
	r.watch(w)
	e.store.add(r)
	return nil
}

// poolFor returns the pool that t names, or the first in the file that serves
// its type and executor.
func (e *Engine) poolFor(t *task.Task) (*pool, error) {
	var names []string
	for _, p := range e.pools {
		names = append(names, p.config.Name)
		serves := slices.Contains(p.config.TaskTypes, string(t.Type))
		if t.Pool == p.config.Name || t.Pool == "" && serves && (t.Executor == "" || t.Executor == p.config.Executor) {
			return p, nil
		}
	}
	if t.Pool != "" {
		return nil, &task.FieldError{Field: "pool", Code: "no_such_pool", Problem: fmt.Sprintf("no pool is named %q", t.Pool), Allowed: names}
	}
	return nil, &task.FieldError{Field: "task_type", Code: "no_such_pool",
		Problem: fmt.Sprintf("no pool serves %s with executor %q", t.Type, t.Executor)}
}

// View returns the task as it stands. Errors: task.ErrNotFound, task.ErrEvicted.
func (e *Engine) View(id task.ID) (task.View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.store.find(id)
	if err != nil {
		return task.View{}, err
	}
	return r.view(), nil
}

// Result waits until the task has ended and returns its Result, which the caller
// must not change. It returns ctx.Err() when ctx is done first; the task goes on.
func (e *Engine) Result(ctx context.Context, id task.ID) (*task.Result, error) {
	e.mu.Lock()
	r, err := e.store.find(id)
	if err != nil {
		e.mu.Unlock()
		return nil, err
	}
	done := r.ending()
	e.mu.Unlock()
	select {
	case <-done:
	default:
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.store.got++
	return r.result, nil
}

// Cancel stops a task: at once while it waits, else by asking its worker. A task
// that has ended stays as it is.
func (e *Engine) Cancel(id task.ID) (task.View, error) {
	e.mu.Lock()
	r, err := e.store.find(id)
	if err != nil {
		e.mu.Unlock()
		return task.View{}, err
	}
	var n notices
	switch {
	case r.state.Load().Terminal():
	case r.slot == nil:
		n = e.finish(r, task.Cancelled, cancelled())
	default:
		r.stop(plugins.StopCancelled)
	}
	view := r.view()
	e.mu.Unlock()
	n.send()
	return view, nil
}

func cancelled() ended {
	return ended{err: &task.Error{Type: "TaskCancelled", Code: "cancelled", Message: "the task was cancelled"}}
}
