package daemon

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

const (
	// defaultPage is what api.Page.Limit is unless it is said.
	defaultPage = 100
	// lookAtOnce bounds how many tasks are looked at without letting go of the engine, less
	// where the look at each is longer; viewsAtOnce and viewBytesAtOnce what a reader takes
	// away of them.
	lookAtOnce      = 1000
	viewsAtOnce     = 100
	viewBytesAtOnce = 256 << 10
)

// mayMatch reports whether f may select a task of this owner and with this status, and the
// caller may do a with it.
func (e *Engine) mayMatch(who access.Identity, a access.Action, f *api.Filter, owner uint32, status task.Status) bool {
	return (len(f.Statuses) == 0 || slices.Contains(f.Statuses, status)) &&
		e.rules.Load().Check(who, access.Request{Action: a, Owner: owner}) == nil
}

// matchesLocked reports whether f selects r, which it may.
func (e *Engine) matchesLocked(a access.Action, f *api.Filter, r *ledger.Record) bool {
	if a == access.See && e.isCommitting(r) {
		return false
	}
	if !f.Since.IsZero() && r.Submitted().Before(f.Since) {
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
	return true
}

// place is how far a walk over the tasks in the order of submission has come, or one against
// it, from the newest on.
type place struct {
	stamp  int64
	newest bool
	// least is the stamp before which a walk from the newest on finds nothing.
	least int64
}

// beginning is the place before the first task of a walk.
func beginning(newest bool) place {
	if newest {
		return place{stamp: math.MaxInt64, newest: true}
	}
	return place{}
}

// since leaves out the tasks of a walk that were submitted before t and need no look. The zero
// time is before all tasks.
func (p place) since(t time.Time) place {
	if !t.After(time.Unix(0, 0)) {
		return p
	}
	least := int64(math.MaxInt64) // after all tasks
	if t.Before(time.Unix(0, least)) {
		least = t.UnixNano()
	}
	if p.newest {
		p.least = least
	} else {
		p.stamp = max(p.stamp, least-1)
	}
	return p
}

// look calls take, under the lock, with those of the next tasks of a walk that f selects
// and with which the caller may do a, until it returns false. It returns the place of the
// last that was looked at, and whether there may be more.
func (e *Engine) look(
	who access.Identity, a access.Action, f *api.Filter, at place, take func(*ledger.Record) bool,
) (last place, more bool) {
	e.read(who, func(*effects.List) {
		e.evictLocked()
		walk := e.store.After
		if at.newest {
			walk = e.store.Before
		}
		wanted := func(owner uint32, status task.Status) bool { return e.mayMatch(who, a, f, owner, status) }
		at.stamp, more = walk(at.stamp, lookAtOnce/(1+len(f.Labels))+1, wanted, func(r *ledger.Record) bool {
			return !e.matchesLocked(a, f, r) || take(r)
		})
		more = more && at.stamp >= at.least
	})
	return at, more
}

// isCommitting reports whether it is not known yet whether r is accepted.
func (e *Engine) isCommitting(r *ledger.Record) bool {
	a := e.arriving[r]
	return a != nil && a.stage == committing
}

// caughtUp waits until everything is accepted or refused that was being committed when it
// was called: commits that need the same are answered in order.
func (e *Engine) caughtUp(ctx context.Context, who access.Identity) error {
	type awaited struct {
		outcome <-chan struct{}
		id      task.ID
	}
	var all []awaited
	e.read(who, func(*effects.List) {
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

// List calls yield, under no lock, with a page of the tasks that f selects, in the order of
// submission or against it, until it returns false; tasks of others are left out. It returns
// api.Page.After for the page that follows, "" if there is none. Those that are being
// committed are waited for, until ctx is done. Before any error nothing is yielded. Errors:
// api.ErrBadCursor, ctx's, api.ErrDraining.
func (e *Engine) List(ctx context.Context, who access.Identity, f api.Filter, p api.Page, yield func(task.View) bool) (next string, err error) {
	left := min(max(p.Limit, 0), api.MaxPage)
	if left == 0 {
		left = defaultPage
	}
	at, err := parsePlace(p)
	if err != nil {
		return "", err
	}
	at = at.since(f.Since)
	if err := e.caughtUp(ctx, who); err != nil {
		return "", err
	}
	last := at.stamp // of what was yielded
	for more := true; more; {
		var some views
		at, more = e.look(who, access.See, &f, at, some.take)
		for _, v := range some.all {
			switch {
			case left == 0:
				return strconv.FormatInt(last, 10), nil
			case !yield(v.View):
				return "", nil
			}
			left, last = left-1, v.stamp
		}
	}
	return "", nil
}

// views are those that a reader takes away at once.
type views struct {
	all   []stampedView
	bytes int
}

type stampedView struct {
	task.View
	stamp int64
}

// take adds r. It reports whether there is room for more.
func (v *views) take(r *ledger.Record) bool {
	v.all = append(v.all, stampedView{r.View(), r.Stamp()})
	for name, value := range r.Task.Labels {
		v.bytes += len(name) + len(value)
	}
	return len(v.all) < viewsAtOnce && v.bytes < viewBytesAtOnce
}

// parsePlace returns where the page p begins.
func parsePlace(p api.Page) (place, error) {
	at := beginning(p.Newest)
	if p.After == "" {
		return at, nil
	}
	var err error
	if at.stamp, err = strconv.ParseInt(p.After, 10, 64); err != nil || at.stamp < 0 {
		return at, fmt.Errorf("%w: %.64q", api.ErrBadCursor, p.After)
	}
	return at, nil
}
