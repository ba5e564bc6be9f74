package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// find returns the task that who may act on. Errors: task.ErrNotFound, also for a
// task of somebody else; task.ErrEvicted. e.mu is held.
func (e *Engine) find(who access.Identity, a access.Action, id task.ID) (*record, error) {
	r, err := e.store.find(id)
	if err != nil {
		return nil, err
	}
	err = e.rules.Check(who, access.Request{Action: a, Owner: r.owner})
	if errors.Is(err, access.ErrHidden) || !r.accepted {
		return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
	}
	return r, err
}

// View returns the task as it stands. Errors: task.ErrNotFound, task.ErrEvicted.
func (e *Engine) View(who access.Identity, id task.ID) (task.View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.find(who, access.See, id)
	if err != nil {
		return task.View{}, err
	}
	return r.view(), nil
}

// Result waits until the task has ended and returns its Result, which the caller
// must not change. It returns ctx.Err() when ctx is done first; the task goes on.
// Errors: those of View, and api.ErrDraining when the engine ends before the task.
func (e *Engine) Result(ctx context.Context, who access.Identity, id task.ID) (*task.Result, error) {
	e.mu.Lock()
	r, err := e.find(who, access.See, id)
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
		case <-e.stopped:
			return nil, fmt.Errorf("%w before the task has ended: %s", api.ErrDraining, id)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.store.got++
	return r.result, nil
}

// Cancel stops a task: at once while it waits, else by asking its worker. A task
// that has ended stays as it is.
func (e *Engine) Cancel(who access.Identity, id task.ID) (task.View, error) {
	e.mu.Lock()
	r, err := e.find(who, access.Stop, id)
	if err != nil {
		e.mu.Unlock()
		return task.View{}, err
	}
	n := e.cancel(r)
	view := r.view()
	e.mu.Unlock()
	n.send()
	return view, nil
}

// cancel stops r. Engine.mu is held.
func (e *Engine) cancel(r *record) notices {
	switch {
	case r.over || r.stopping:
	case r.slot == nil:
		r.stopping = true
		return e.finish(r, cancelled())
	default:
		r.stop(plugins.StopCancelled)
		e.note(r, r.submitted()) // a daemon that dies now must not run it again
	}
	return nil
}

// What api.Page.Limit is unless it is said, and a bound on how many tasks are looked at without letting go of
// the engine.
const (
	defaultPage = 100
	lookAtOnce  = 5000
)

// matches reports whether f selects r, and who may act on it.
func (e *Engine) matches(who access.Identity, a access.Action, f *api.Filter, r *record) bool {
	if !r.accepted || len(f.Statuses) > 0 && !slices.Contains(f.Statuses, r.state.Load()) {
		return false
	}
	if f.Batch != (task.ID{}) && (r.batch == nil || r.batch.id != f.Batch) {
		return false
	}
	for name, value := range f.Labels {
		if has, ok := r.task.Labels[name]; !ok || has != value {
			return false
		}
	}
	return e.rules.Check(who, access.Request{Action: a, Owner: r.owner}) == nil
}

// each calls yield, under Engine.mu, with every task after a stamp that f selects
// and who may act on, until it returns false.
func (e *Engine) each(who access.Identity, a access.Action, f *api.Filter, stamp int64, yield func(*record) bool) {
	for more, stopped := true, false; more && !stopped; {
		e.mu.Lock()
		stamp, more = e.store.after(stamp, lookAtOnce, func(r *record) bool {
			stopped = e.matches(who, a, f, r) && !yield(r)
			return !stopped
		})
		e.mu.Unlock()
	}
}

// List returns a page of the tasks that f selects, in the order of submission;
// of others' tasks it says nothing. Errors: api.ErrBadCursor.
func (e *Engine) List(who access.Identity, f api.Filter, p api.Page) (api.Listing, error) {
	limit := min(max(p.Limit, 0), api.MaxPage)
	if limit == 0 {
		limit = defaultPage
	}
	stamp, err := parseStamp(p.After)
	if err != nil {
		return api.Listing{}, err
	}
	l := api.Listing{Tasks: []task.View{}}
	e.each(who, access.See, &f, stamp, func(r *record) bool {
		if len(l.Tasks) == limit {
			l.Next = strconv.FormatInt(stamp, 10)
			return false
		}
		l.Tasks, stamp = append(l.Tasks, r.view()), r.stamp
		return true
	})
	return l, nil
}

func parseStamp(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	stamp, err := strconv.ParseInt(text, 10, 64)
	if err != nil || stamp < 0 {
		return 0, fmt.Errorf("%w: %.64q", api.ErrBadCursor, text)
	}
	return stamp, nil
}

// CancelAll stops the tasks that f selects and who may stop. It returns how many
// had not ended; tasks that come meanwhile may be among them or not.
func (e *Engine) CancelAll(who access.Identity, f api.Filter) (int, error) {
	var all []*record
	e.each(who, access.Stop, &f, 0, func(r *record) bool {
		if !r.over && !r.stopping {
			all = append(all, r)
		}
		return true
	})
	count := 0
	for some := range slices.Chunk(all, lookAtOnce/5) {
		var n notices
		e.mu.Lock()
		for _, r := range some {
			if !r.over && !r.stopping {
				n = append(n, e.cancel(r)...)
				count++
			}
		}
		e.mu.Unlock()
		n.send()
	}
	return count, nil
}

// Rerun submits what a task says anew, as a task of who with a fresh id, and
// answers as Submit does. What names the one task or its time is not taken over:
// idempotency key, run_at, delay and expires_at.
func (e *Engine) Rerun(who access.Identity, id task.ID, done func(task.View, error)) {
	e.mu.Lock()
	r, err := e.find(who, access.See, id)
	if err != nil {
		e.mu.Unlock()
		done(task.View{}, err)
		return
	}
	again := *r.task
	e.mu.Unlock()
	again.ID = task.NewID()
	if again.Extra != nil {
		x := *again.Extra
		x.IdempotencyKey, x.Delay, x.RunAt, x.ExpiresAt = "", 0, time.Time{}, time.Time{}
		again.Extra = &x
	}
	e.Submit(who, &again, nil, done)
}
