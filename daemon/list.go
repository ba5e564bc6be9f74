package daemon

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// What api.Page.Limit is unless it is said, and a bound on how many tasks are looked at without letting go of
// the engine.
const (
	defaultPage = 100
	lookAtOnce  = 5000
)

// matchesLocked reports whether f selects r and the caller may do a with it.
func (e *Engine) matchesLocked(who access.Identity, a access.Action, f *api.Filter, r *ledger.Record) bool {
	if a == access.See && e.isCommitting(r) || len(f.Statuses) > 0 && !slices.Contains(f.Statuses, r.Status()) {
		return false
	}
	if f.Batch != (task.ID{}) && !e.store.Member(r, f.Batch) {
		return false
	}
	for name, value := range f.Labels {
		if has, ok := r.Task.Labels[name]; !ok || has != value {
			return false
		}
	}
	return e.rules.Load().Check(who, access.Request{Action: a, Owner: r.Owner}) == nil
}

// each calls yield, under the lock, with every task after a stamp that matchesLocked
// accepts, until yield returns false.
func (e *Engine) each(who access.Identity, a access.Action, f *api.Filter, stamp int64, yield func(*ledger.Record) bool) {
	for more, stopped := true, false; more && !stopped; {
		e.do(func(*effects.List) {
			e.evictLocked()
			stamp, more = e.store.After(stamp, lookAtOnce, func(r *ledger.Record) bool {
				stopped = e.matchesLocked(who, a, f, r) && !yield(r)
				return !stopped
			})
		})
	}
}

// isCommitting reports whether it is not known yet whether r is accepted.
func (e *Engine) isCommitting(r *ledger.Record) bool {
	a := e.arriving[r]
	return a != nil && a.stage == committing
}

// caughtUp waits until everything is accepted or refused that was being committed when it
// was called: commits that need the same are answered in order.
func (e *Engine) caughtUp(ctx context.Context) error {
	type awaited struct {
		outcome <-chan struct{}
		id      task.ID
	}
	var all []awaited
	e.do(func(*effects.List) {
		for _, a := range e.newest {
			if a != nil && e.arriving[a.record] == a {
				all = append(all, awaited{a.outcome(), a.record.Task.ID})
			}
		}
	})
	for _, a := range all {
		if err := e.await(ctx, a.outcome, a.id); err != nil {
			return err
		}
	}
	return nil
}

// List returns a page of the tasks that f selects, in the order of submission;
// tasks of others are left out. Those that are being committed are waited for, until ctx
// is done. Errors: api.ErrBadCursor, ctx's, api.ErrDraining.
func (e *Engine) List(ctx context.Context, who access.Identity, f api.Filter, p api.Page) (api.Listing, error) {
	limit := min(max(p.Limit, 0), api.MaxPage)
	if limit == 0 {
		limit = defaultPage
	}
	stamp, err := parseStamp(p.After)
	if err != nil {
		return api.Listing{}, err
	}
	if err := e.caughtUp(ctx); err != nil {
		return api.Listing{}, err
	}
	l := api.Listing{Tasks: []task.View{}}
	e.each(who, access.See, &f, stamp, func(r *ledger.Record) bool {
		if len(l.Tasks) == limit {
			l.Next = strconv.FormatInt(stamp, 10)
			return false
		}
		l.Tasks, stamp = append(l.Tasks, r.View()), r.Stamp()
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
