package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

// Submit accepts t, which must not change afterwards, and starts it as soon as a
// slot is free. w, which may be nil, hears of what follows. Submitting the same task
// again is safe: the answer is the task as it stands, and w is added.
//
// The answer comes by done, once, from any goroutine and perhaps before Submit
// returns: after the task's commit, if it is to outlive the daemon. done must not
// block. While the queue is full and its policy is to block, it is not called; ctx says
// until when the client waits for that, and the task is withdrawn when it does not any
// more.
//
// Errors, in this order: access.Denied when the caller may not submit; a task.FieldError
// for what this daemon can't do; access.Denied for the pool or the script, and a
// task.FieldError for a script that is not there; task.ErrConflict when the id names
// another task; a task.FieldError for a field that the pool's executor does not take;
// api.ErrDraining, task.ErrQueueFull, task.ErrNoSpace.
func (e *Engine) Submit(ctx context.Context, who access.Identity, t *task.Task, w task.Watcher, done func(task.View, error)) {
	e.SubmitAll(ctx, who, []api.Submission{{Task: t, Watcher: w, Answer: done}})
}

// SubmitAll is Submit for tasks that have come together: they are admitted and dispatched
// in as few turns under the lock as that may take. They come into the queue in their order.
func (e *Engine) SubmitAll(ctx context.Context, who access.Identity, all []api.Submission) {
	now, some := e.uptime(), make([]*admission, 0, len(all))
	for _, s := range all {
		a, err := e.prepare(who, s.Task, now)
		switch {
		case err != nil && len(some) == 0:
			s.Answer(task.View{}, err)
			continue
		case err != nil: // answered in its turn
			a = &admission{refused: err}
		}
		a.watcher, a.submitter = s.Watcher, a.ask(s.Answer)
		if s.Watcher != nil {
			a.submitter.outlet = s.Watcher.Outlet()
		}
		some = append(some, a)
	}
	e.admitAll(ctx, who, some, func(*ledger.Record, *admission) {})
}

// admitAtOnce bounds for how long the engine is held up by tasks that come together.
const admitAtOnce = 256

// admitAll admits tasks, and withdraws those that wait for room when ctx ends. member is
// called with each that is not refused and the task that it is, which may be one that was
// submitted before.
func (e *Engine) admitAll(ctx context.Context, who access.Identity, all []*admission, member func(*ledger.Record, *admission)) {
	var waiting []*asker
	for some := range slices.Chunk(all, admitAtOnce) {
		for len(some) > 0 {
			e.do(func(fx *effects.List) {
				e.admitSome(who, some, member, fx)
				for _, a := range some {
					if a.unclear == nil && a.submitter.blocked() {
						waiting = append(waiting, a.submitter)
					}
				}
			})
			some = slices.DeleteFunc(some, func(a *admission) bool { return a.unclear == nil })
			for _, a := range some {
				a.clear(a.record.Task)
			}
		}
	}
	if len(waiting) > 0 {
		e.watchClient(ctx, waiting)
	}
}

// admitSome is admitAll for a few.
func (e *Engine) admitSome(who access.Identity, some []*admission, member func(*ledger.Record, *admission), fx *effects.List) {
	var commit []*admission
	for _, a := range some {
		if a.refused != nil {
			a.answer(task.View{}, a.refused, fx)
			continue
		}
		r, yes := e.admit(who, a, fx)
		if r != nil {
			member(r, a)
		}
		if yes {
			commit = append(commit, a)
		}
	}
	if len(commit) > 0 {
		e.commitLocked(commit...)
	}
}

// prepare does the part of the admission of t that needs no lock. Nothing is told to a
// caller but what is wrong with its own input before it is known that it may have t run:
// whether a file exists, or an id is taken, is not for who may not. now is the uptime.
func (e *Engine) prepare(who access.Identity, t *task.Task, now time.Duration) (*admission, error) {
	if err := e.MaySubmit(who); err != nil {
		return nil, err
	}
	a, err := e.newAdmission(who, t)
	if err == nil {
		err = e.permit(who, t)
	}
	if err == nil && t.ScriptPath != "" {
		err = e.scripts.check(e.lookedAt(t.ScriptPath), now)
	}
	return a, err
}

// lookedAt is what is looked at for a script: where folders are named, the path by which it
// is beneath one of them. Behind a link, ".." would lead the look to any file there is.
func (e *Engine) lookedAt(path string) string {
	if len(e.rules.Load().ScriptDirs) == 0 {
		return path
	}
	return filepath.Clean(path)
}

// newAdmission is prepare without a look at the script.
func (e *Engine) newAdmission(who access.Identity, t *task.Task) (*admission, error) {
	if err := e.checkDurable(t); err != nil {
		return nil, err
	}
	r := ledger.NewRecord(t, who.UID)
	r.Volatile = t.Extra != nil && t.Extra.Durable != nil && !*t.Extra.Durable
	return &admission{record: r}, nil
}

func (e *Engine) checkDurable(t *task.Task) error {
	if e.journal == nil && t.Extra != nil && t.Extra.Durable != nil && *t.Extra.Durable {
		return &task.FieldError{Field: "durable", Problem: "this daemon keeps no journal, so nothing outlives it", Allowed: []string{"false"}}
	}
	return nil
}

// placeLocked finds the pool of a task and its place in the queue, where what is to
// be committed first is held.
func (e *Engine) placeLocked(who access.Identity, a *admission) error {
	r := a.record
	if e.draining || !e.running {
		return api.ErrDraining
	}
	p, err := e.poolForLocked(r.Task, who)
	if err != nil {
		return err
	}
	if !a.forced { // again: a reload may have come between
		if err := e.rules.Load().Check(who, submission(r.Task, p.Name())); err != nil {
			return err
		}
	}
	if err := e.takesLocked(who, p, r.Task); err != nil {
		return err
	}
	now := e.momentLocked()
	r.Pool = p
	e.store.Stamp(r, now)
	entry := entryFor(r)
	entry.Whole = e.rules.Load().Administers(who)
	a.held = e.journal != nil && !r.Volatile || e.config.Load().Queue.Policy == "block"
	entry.Held = a.held
	if a.forced {
		r.Item = e.queue.Restore(now, r, entry)
		return nil
	}
	r.Item, err = e.queue.Push(now, r, entry)
	e.timers.kickIf(e.queue.Changed())
	switch {
	case errors.Is(err, queue.ErrTooLarge):
		return &task.FieldError{Field: "params", Code: "queue_full",
			Problem: fmt.Sprintf("larger than queue.max_bytes, %d", e.config.Load().Queue.MaxBytes)}
	case err != nil:
		return fmt.Errorf("%w: %s", task.ErrQueueFull, fullReason(err))
	}
	return nil
}

// fullReason says for people what there is no room in, and what to wait for.
func fullReason(err error) string {
	var full *queue.FullError
	if !errors.As(err, &full) {
		return err.Error()
	}
	in, unit, what, have := "the whole queue", "tasks", "some", "started"
	if full.Share {
		in, what = "your share of the queue", "some of yours"
	}
	if full.Bytes {
		unit, have = "bytes", "ended"
	}
	return fmt.Sprintf("%s, %d of %d %s, is used up; try again once %s have %s", in, full.Has, full.Most, unit, what, have)
}

// entryFor describes r to the queue.
func entryFor(r *ledger.Record) queue.Entry {
	entry := queue.Entry{Lane: laneOf(r), Priority: r.Task.Priority, Owner: r.Owner, Bytes: r.Task.Size()}
	if x := r.Task.Extra; x != nil {
		entry.Key = x.ConcurrencyKey
		entry.Times = r.Times()
	}
	return entry
}

// Rerun submits a copy of a task, with a new id and for this caller, and answers as
// Submit does. The copy has no idempotency key, run_at, delay or expires_at. room, which may
// be nil, is asked first whether there is room for the task, of so many bytes, until the
// answer; it may wait for that, and its error is the answer.
func (e *Engine) Rerun(ctx context.Context, who access.Identity, id task.ID, room func(bytes int64) error, done func(task.View, error)) {
	if err := e.MaySubmit(who); err != nil {
		done(task.View{}, err)
		return
	}
	var again task.Task
	if err := e.withTask(ctx, who, access.See, id, func(r *ledger.Record) { again = *r.Task }); err != nil {
		done(task.View{}, err)
		return
	}
	if room != nil {
		if err := room(again.Size()); err != nil {
			done(task.View{}, err)
			return
		}
	}
	again.ID = task.NewID()
	if again.Extra != nil {
		x := *again.Extra
		x.IdempotencyKey, x.Delay, x.RunAt, x.ExpiresAt = "", 0, time.Time{}, time.Time{}
		again.Extra = &x
	}
	e.Submit(ctx, who, &again, nil, done)
}
