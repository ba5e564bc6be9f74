package daemon

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/journal"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

// admission is a task on its way in.
type admission struct {
	record  *record
	batch   task.ID
	watcher task.Watcher
	// forced: it is let in even when there is no room.
	forced bool
	// answer is called once, without the lock.
	answer func(task.View, error)
	// others asked for the same task meanwhile.
	others []func(task.View, error)
}

// tell answers all who asked.
func (a *admission) tell(view task.View, err error) answers {
	var all answers
	for _, answer := range append(a.others, a.answer) {
		all = append(all, func() { answer(view, err) })
	}
	return all
}

// answers are given after Engine.mu has been released.
type answers []func()

func (a answers) give() {
	for _, f := range a {
		f()
	}
}

// Submit accepts t, which must not change afterwards, and starts it as soon as a
// slot is free. w, which may be nil, is told of what follows. Submitting the
// same task again is safe: it answers with the task as it stands and adds w.
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
	a.watcher, a.answer = w, done
	e.submit(who, a)
}

func (e *Engine) submit(who access.Identity, a *admission) {
	e.mu.Lock()
	now, send := e.admit(who, a)
	e.mu.Unlock()
	send.now()
	now.do(e)
}

// SubmitBatch is Submit for many tasks, which are committed together and become
// the batch with this id. Each has an id or an error of its own, in their order;
// those that are good are not held up by the others.
func (e *Engine) SubmitBatch(who access.Identity, id task.ID, tasks []*task.Task, done func([]task.ID, []error)) {
	g := &gathering{ids: make([]task.ID, len(tasks)), errs: make([]error, len(tasks)), left: len(tasks) + 1, done: done}
	var commit []*admission
	for some := range slices.Chunk(e.prepareBatch(who, id, tasks, g), admitAtOnce) {
		var later []outcome
		var send deliveries
		e.mu.Lock()
		for _, a := range some {
			o, d := e.admit(who, a)
			send, later = append(send, d...), append(later, o)
		}
		e.mu.Unlock()
		send.now()
		for _, o := range later {
			if o.commit != nil {
				commit = append(commit, o.commit)
				continue
			}
			o.do(e)
		}
	}
	if len(commit) > 0 {
		e.commit(commit...)
	}
	g.one() // the one more than there are tasks: nothing was done before all had been looked at
}

// prepareBatch makes the admissions of those that are good, and answers for the
// others.
func (e *Engine) prepareBatch(who access.Identity, id task.ID, tasks []*task.Task, g *gathering) []*admission {
	var all []*admission
	for i, t := range tasks {
		a, err := e.prepare(who, t)
		if err != nil {
			g.answer(i)(task.View{}, err)
			continue
		}
		a.batch, a.answer = id, g.answer(i)
		all = append(all, a)
	}
	return all
}

// admitAtOnce bounds for how long the engine is held up by a batch.
const admitAtOnce = 500

// gathering collects the answers for a batch.
type gathering struct {
	mu   sync.Mutex
	ids  []task.ID
	errs []error
	left int
	done func([]task.ID, []error)
}

func (g *gathering) answer(i int) func(task.View, error) {
	return func(v task.View, err error) {
		g.mu.Lock()
		g.ids[i], g.errs[i] = v.ID, err
		g.mu.Unlock()
		g.one()
	}
}

func (g *gathering) one() {
	g.mu.Lock()
	g.left--
	last := g.left == 0
	g.mu.Unlock()
	if last {
		g.done(g.ids, g.errs)
	}
}

// prepare makes the admission of t, as far as that needs no lock.
func (e *Engine) prepare(who access.Identity, t *task.Task) (*admission, error) {
	if err := refuseUnserved(t); err != nil {
		return nil, err
	}
	if err := e.checkDurable(t); err != nil {
		return nil, err
	}
	if t.ScriptPath != "" {
		if err := e.scripts.check(t.ScriptPath, e.now()); err != nil {
			return nil, err
		}
	}
	r := &record{task: t, owner: who.UID}
	r.volatile = t.Extra != nil && t.Extra.Durable != nil && !*t.Extra.Durable
	return &admission{record: r}, nil
}

func (e *Engine) checkDurable(t *task.Task) error {
	if e.journal == nil && t.Extra != nil && t.Extra.Durable != nil && *t.Extra.Durable {
		return &task.FieldError{Field: "durable", Problem: "this daemon keeps no journal, so nothing outlives it", Allowed: []string{"false"}}
	}
	return nil
}

// outcome is what is to be done for an admission once Engine.mu has been released.
type outcome struct {
	// commit is to be committed, arrived is let in without; else view and err are
	// the answer, unless there is none yet.
	commit  *admission
	arrived *admission
	answer  func(task.View, error)
	view    task.View
	err     error
}

func (o outcome) do(e *Engine) {
	switch {
	case o.commit != nil:
		e.commit(o.commit)
	case o.arrived != nil:
		e.committed([]*admission{o.arrived}, nil)
	case o.answer != nil:
		o.answer(o.view, o.err)
	}
}

// admit takes a task in, or says why not. Engine.mu is held.
func (e *Engine) admit(who access.Identity, a *admission) (outcome, deliveries) {
	r := a.record
	if known := e.known(r); known != nil {
		return e.again(who, a, known), nil
	}
	if err := e.place(who, a); err != nil {
		return outcome{answer: a.answer, err: err}, nil
	}
	r.watch(a.watcher)
	e.store.add(r)
	e.store.join(r, a.batch)
	switch {
	case r.item.Place() == queue.Blocked:
		e.arriving[r] = a
		return outcome{}, nil
	case e.journal != nil && !r.volatile:
		e.arriving[r] = a
		return outcome{commit: a}, nil
	}
	send := e.accept(r)
	return outcome{answer: a.answer, view: r.view()}, send
}

// known returns the task that r would be the same as: by its id, or by its
// idempotency key.
func (e *Engine) known(r *record) *record {
	if known := e.store.tasks[r.task.ID]; known != nil {
		return known
	}
	if x := r.task.Extra; x != nil && x.IdempotencyKey != "" {
		return e.store.keyed[ownKey{r.owner, x.IdempotencyKey}]
	}
	return nil
}

// again answers for a task that was submitted before.
func (e *Engine) again(who access.Identity, a *admission, known *record) outcome {
	t := *a.record.task
	t.ID = known.task.ID
	if known.owner != who.UID || !known.task.Same(&t) {
		return outcome{answer: a.answer, err: fmt.Errorf("%w: %s", task.ErrConflict, t.ID)}
	}
	known.watch(a.watcher)
	if first := e.arriving[known]; first != nil {
		first.others = append(first.others, a.answer)
		return outcome{}
	}
	return outcome{answer: a.answer, view: known.view()}
}

// place finds the pool of a task and its place in the queue, where what is to be
// committed first is held. Engine.mu is held.
func (e *Engine) place(who access.Identity, a *admission) error {
	r := a.record
	if e.draining || !e.running {
		return api.ErrDraining
	}
	p, err := e.poolFor(r.task)
	if err != nil {
		return err
	}
	if !a.forced {
		err := e.rules.Check(who, access.Request{Action: access.Submit, Pool: p.config.Name, ScriptPath: r.task.ScriptPath,
			Source: r.task.Gives("source")})
		if err != nil {
			return err
		}
	}
	now := e.now()
	r.pool, r.stamp = p, e.store.nextStamp(now)
	entry := r.entry()
	r.held = e.journal != nil && !r.volatile || e.config.Load().Queue.Policy == "block"
	entry.Held = r.held
	if a.forced {
		r.item = e.queue.Restore(now, r, entry)
		return nil
	}
	r.item, err = e.queue.Push(now, r, entry)
	e.clock.kickIf(e.queue.Changed())
	switch {
	case errors.Is(err, queue.ErrTooLarge):
		return &task.FieldError{Field: "params", Code: "queue_full", Problem: fmt.Sprintf("larger than queue.max_bytes, %d", e.config.Load().Queue.MaxBytes)}
	case err != nil:
		return fmt.Errorf("%w: %d tasks wait", task.ErrQueueFull, e.queue.Len())
	}
	return nil
}

// entry is what the queue has to know of r.
func (r *record) entry() queue.Entry {
	entry := queue.Entry{Lane: r.pool.laneOf(r).index, Priority: r.task.Priority, Owner: r.owner, Bytes: int64(len(r.task.Params))}
	if x := r.task.Extra; x != nil {
		entry.Key = x.ConcurrencyKey
		entry.RunAt, entry.ExpiresAt = r.times()
	}
	return entry
}

// times returns before when r does not start, and when it expires.
func (r *record) times() (runAt, expiresAt time.Time) {
	x := r.task.Extra
	if x == nil {
		return
	}
	if runAt = x.RunAt; x.Delay > 0 {
		runAt = r.submitted().Add(time.Duration(x.Delay))
	}
	return runAt, x.ExpiresAt
}

// commit has the journal keep what arrives.
func (e *Engine) commit(all ...*admission) {
	ops := make([]journal.Op, len(all))
	for i, a := range all {
		r := a.record
		ops[i].Accepted = &journal.Accepted{Task: r.task, Owner: r.owner, Submitted: r.submitted(), Pool: r.pool.config.Name, Batch: a.batch}
	}
	wait := slices.ContainsFunc(all, func(a *admission) bool { return a.record.mustWait() })
	e.journal.Append(func(err error) { e.committed(all, err) }, wait, ops...)
}

// committed lets in what has been committed, or sends it away.
func (e *Engine) committed(all []*admission, err error) {
	switch {
	case errors.Is(err, journal.ErrClosed):
		err = fmt.Errorf("%w for good", api.ErrDraining)
	case err != nil:
		err = fmt.Errorf("%w: %w", task.ErrNoSpace, err)
	}
	var send deliveries
	var tell answers
	e.mu.Lock()
	for _, a := range all {
		var view task.View
		if err == nil {
			send = append(send, e.accept(a.record)...)
			view = a.record.view()
		} else {
			e.turnAway(a.record)
		}
		tell = append(tell, a.tell(view, err)...)
	}
	e.mu.Unlock()
	send.now()
	tell.give()
}

// accept makes r a task like all others, and dispatches. Engine.mu is held.
func (e *Engine) accept(r *record) deliveries {
	delete(e.arriving, r)
	r.accepted = true
	if r.held {
		r.held = false
		runAt, expiresAt := r.times()
		e.queue.Settle(e.now(), r.item, runAt, expiresAt)
	}
	e.clock.kickIf(r.task.Extra != nil || e.queue.Changed())
	if r.item.Place() == queue.Ready {
		_ = e.move(r, task.Queued)
	}
	e.metrics.submitted.Inc()
	return r.pool.dispatch()
}

// turnAway takes out a task whose commit has failed.
func (e *Engine) turnAway(r *record) {
	delete(e.arriving, r)
	e.queue.Remove(e.now(), r.item)
	e.clock.kickIf(e.queue.Changed())
	r.item, r.over = nil, true
	e.store.part(r, false)
	e.store.remove(r)
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
