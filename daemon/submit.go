package daemon

import (
	"errors"
	"fmt"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// admission is a task that has not been accepted yet.
type admission struct {
	record  *ledger.Record
	batch   task.ID
	watcher task.Watcher
	// forced: it is admitted even when the queue is full. held: the queue keeps its
	// place, but does not let it leave before it is accepted.
	forced, held bool
	// answers are called once each: for its submission, and for others of the same task
	// meanwhile.
	answers []func(task.View, error)
}

// answer answers all who asked.
func (a *admission) answer(view task.View, err error, fx *effects.List) {
	for _, f := range a.answers {
		fx.Answer(func() { f(view, err) })
	}
}

// Submit accepts t, which must not change afterwards, and starts it as soon as a
// slot is free. w, which may be nil, hears of what follows. Submitting the same task
// again is safe: the answer is the task as it stands, and w is added.
//
// The answer comes by done, once, from any goroutine and perhaps before Submit
// returns: after the task's commit, if it is to outlive the daemon. done must not
// block. While the queue is full and its policy is to block, it is not called.
//
// Errors: a task.FieldError when t can't run here, access.Denied, task.ErrConflict
// when the id names another task, task.ErrQueueFull, task.ErrNoSpace,
// api.ErrDraining.
func (e *Engine) Submit(who access.Identity, t *task.Task, w task.Watcher, done func(task.View, error)) {
	a, err := e.prepare(who, t)
	if err != nil {
		done(task.View{}, err)
		return
	}
	a.watcher, a.answers = w, []func(task.View, error){done}
	e.submit(who, a)
}

func (e *Engine) submit(who access.Identity, a *admission) {
	e.do(func(fx *effects.List) {
		if e.admit(who, a, fx) {
			e.commitLocked(a)
		}
	})
}

// unserved lists the fields of a task that the engine does not act on yet.
func unserved() []string {
	return []string{"env", "cwd"}
}

// refuseUnserved refuses a task that sets such a field: its caller relies on it. All
// of them are extras, which most tasks do not have.
func refuseUnserved(t *task.Task) error {
	if t.Extra == nil {
		return nil
	}
	return t.Refuse(unserved()...)
}

// prepare does the part of the admission of t that needs no lock.
func (e *Engine) prepare(who access.Identity, t *task.Task) (*admission, error) {
	a, err := e.newAdmission(who, t)
	if err == nil && t.ScriptPath != "" {
		err = e.scripts.check(t.ScriptPath, e.uptime())
	}
	return a, err
}

// newAdmission is prepare without a look at the script.
func (e *Engine) newAdmission(who access.Identity, t *task.Task) (*admission, error) {
	if err := refuseUnserved(t); err != nil {
		return nil, err
	}
	if err := e.checkDurable(t); err != nil {
		return nil, err
	}
	r := &ledger.Record{Task: t, Owner: who.UID}
	r.Volatile = t.Extra != nil && t.Extra.Durable != nil && !*t.Extra.Durable
	return &admission{record: r}, nil
}

func (e *Engine) checkDurable(t *task.Task) error {
	if e.journal == nil && t.Extra != nil && t.Extra.Durable != nil && *t.Extra.Durable {
		return &task.FieldError{Field: "durable", Problem: "this daemon keeps no journal, so nothing outlives it", Allowed: []string{"false"}}
	}
	return nil
}

// admit puts a task into the queue, or answers why not. It reports whether the task has
// to be committed before it is accepted.
func (e *Engine) admit(who access.Identity, a *admission, fx *effects.List) (commit bool) {
	r := a.record
	if known := e.knownLocked(r); known != nil {
		e.again(who, a, known, fx)
		return false
	}
	if err := e.placeLocked(who, a); err != nil {
		a.answer(task.View{}, err, fx)
		return false
	}
	if a.watcher != nil {
		r.Watch(a.watcher)
	}
	e.store.Add(r)
	e.store.Join(r, a.batch)
	switch {
	case r.Item.Place() == queue.Blocked:
		e.arriving[r] = a
		return false
	case e.journal != nil && !r.Volatile:
		e.arriving[r] = a
		return true
	}
	e.arrive(a, nil, fx)
	return false
}

// knownLocked returns the task that r would be the same as: by its id, or by its
// idempotency key.
func (e *Engine) knownLocked(r *ledger.Record) *ledger.Record {
	if known := e.store.Get(r.Task.ID); known != nil {
		return known
	}
	if x := r.Task.Extra; x != nil && x.IdempotencyKey != "" {
		return e.store.Keyed(r.Owner, x.IdempotencyKey)
	}
	return nil
}

// again answers for a task that was submitted before.
func (e *Engine) again(who access.Identity, a *admission, known *ledger.Record, fx *effects.List) {
	t := *a.record.Task
	t.ID = known.Task.ID
	if known.Owner != who.UID || !known.Task.Same(&t) {
		a.answer(task.View{}, fmt.Errorf("%w: %s", task.ErrConflict, t.ID), fx)
		return
	}
	switch {
	case a.watcher == nil:
	case known.Result() != nil:
		fx.Event(a.watcher, known.ResultEvent())
	default:
		known.Watch(a.watcher)
	}
	if first := e.arriving[known]; first != nil {
		first.answers = append(first.answers, a.answers...)
		return
	}
	a.answer(known.View(), nil, fx)
}

// placeLocked finds the pool of a task and its place in the queue, where what is to
// be committed first is held.
func (e *Engine) placeLocked(who access.Identity, a *admission) error {
	r := a.record
	if e.draining || !e.running {
		return api.ErrDraining
	}
	p, err := e.poolForLocked(r.Task)
	if err != nil {
		return err
	}
	if !a.forced {
		err := e.rules.Check(who, access.Request{Action: access.Submit, Pool: p.Name(), ScriptPath: r.Task.ScriptPath,
			Source: r.Task.Gives("source")})
		if err != nil {
			return err
		}
	}
	now := e.moment()
	r.Pool = p
	e.store.Stamp(r, now)
	entry := entryFor(r)
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
		return fmt.Errorf("%w: %d tasks wait", task.ErrQueueFull, e.queue.Len())
	}
	return nil
}

// entryFor describes r to the queue.
func entryFor(r *ledger.Record) queue.Entry {
	entry := queue.Entry{Lane: laneOf(r), Priority: r.Task.Priority, Owner: r.Owner, Bytes: int64(len(r.Task.Params))}
	if x := r.Task.Extra; x != nil {
		entry.Key = x.ConcurrencyKey
		entry.Times = r.Times()
	}
	return entry
}

// commitLocked gives new tasks to the journal.
func (e *Engine) commitLocked(all ...*admission) {
	ops := make([]journal.Op, len(all))
	for i, a := range all {
		r := a.record
		ops[i].Accepted = &journal.Accepted{Task: r.Task, Owner: r.Owner, Submitted: r.Submitted(), Pool: r.Pool.Name(), Batch: a.batch,
			SubmittedAt: r.SubmittedAt().Wall, Uptime: r.SubmittedAt().Uptime, Schedule: r.Schedule}
	}
	var need journal.Need
	for _, a := range all {
		need = max(need, e.need(a.record))
	}
	e.journal.Append(need, func(err error) { e.committed(all, err) }, ops...)
}

// committed accepts tasks after their commit, or refuses them if it failed.
func (e *Engine) committed(all []*admission, err error) {
	switch {
	case errors.Is(err, journal.ErrClosed):
		err = fmt.Errorf("%w: it is stopping", api.ErrDraining)
	case err != nil:
		err = fmt.Errorf("%w: %w", task.ErrNoSpace, err)
	}
	e.do(func(fx *effects.List) {
		for _, a := range all {
			e.arrive(a, err, fx)
		}
	})
}

// arrive accepts a task and dispatches it, or refuses it with err.
func (e *Engine) arrive(a *admission, err error, fx *effects.List) {
	delete(e.arriving, a.record)
	if err != nil {
		e.turnAway(a, err, fx)
		return
	}
	r := a.record
	if a.held {
		e.queue.Settle(e.moment(), r.Item, r.Times())
	}
	e.timers.kickIf(r.Task.Extra != nil || e.queue.Changed())
	to := ledger.Delayed
	if r.Item.Place() == queue.Ready {
		to = ledger.Ready
	}
	e.move(r, to, fx)
	e.metrics.submitted.Inc()
	e.dispatch(poolOf(r), fx)
	a.answer(r.View(), nil, fx)
}

// turnAway removes a task that could not be accepted, and answers with err.
func (e *Engine) turnAway(a *admission, err error, fx *effects.List) {
	r := a.record
	delete(e.arriving, r)
	e.queue.Remove(e.moment(), r.Item)
	e.timers.kickIf(e.queue.Changed())
	r.Item = nil
	if err := e.store.Refuse(r); err != nil {
		fx.Log(hclog.Error, illegalMove, "task_id", r.Task.ID, "error", err)
	}
	a.answer(task.View{}, err, fx)
}

// Rerun submits a copy of a task, with a new id and for this caller, and answers as
// Submit does. The copy has no idempotency key, run_at, delay or expires_at.
func (e *Engine) Rerun(who access.Identity, id task.ID, done func(task.View, error)) {
	var again task.Task
	var err error
	e.do(func(*effects.List) {
		var r *ledger.Record
		if r, err = e.findLocked(who, access.See, id); err == nil {
			again = *r.Task
		}
	})
	if err != nil {
		done(task.View{}, err)
		return
	}
	again.ID = task.NewID()
	if again.Extra != nil {
		x := *again.Extra
		x.IdempotencyKey, x.Delay, x.RunAt, x.ExpiresAt = "", 0, time.Time{}, time.Time{}
		again.Extra = &x
	}
	e.Submit(who, &again, nil, done)
}
