package daemon

import (
	"errors"
	"fmt"
	"syscall"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// stage is how far an admission is.
type stage uint8

const (
	// blocked: it waits for room in the queue. Clients see it as pending; it goes when
	// they do.
	blocked stage = iota
	// committing: the journal has it. Whether it is accepted is not known yet, so who
	// looks for it waits.
	committing
)

// admission is a task on its way in. It can be found and cancelled from its beginning,
// but it is not accepted before arrive.
type admission struct {
	comparison
	record *ledger.Record
	// refused is why it was refused before it was looked at under the lock; then record is nil.
	refused error
	batch   task.ID
	// line is its place there.
	line int
	// forced: it is admitted even when the queue is full. held: the queue keeps its
	// place, but does not let it leave before it is accepted.
	forced, held bool
	stage        stage
	watcher      task.Watcher
	// askers wait for the answer: its submitter, others who submitted the same task
	// meanwhile, and who cancelled it.
	askers    []*asker
	submitter *asker
	// first and one are room for the submitter, whom most admissions have alone.
	first asker
	one   [1]*asker
	// end is its Result if it was cancelled; together: it is committed with the acceptance.
	end      *task.Result
	together bool
	// early: the queue may let it leave before it is accepted. unseen are events that its
	// watchers have not been shown, but for those in its log. ended is what follows from its
	// end, if that was in the journal before it was accepted. accepted: it is, and has been
	// cancelled: the answer waits until the journal has its end.
	early, accepted bool
	unseen          []*task.Event
	ended           func(fx *effects.List)
	// settled is made when somebody waits, and closed once it is accepted or refused.
	settled chan struct{}
}

// ask has f called with the answer, once, under no lock.
func (a *admission) ask(f func(task.View, error)) *asker {
	q := &a.first
	if q.answer != nil {
		q = &asker{}
	} else {
		a.askers = a.one[:0]
	}
	q.answer, q.waits = f, a
	a.askers = append(a.askers, q)
	return q
}

// answer answers all who asked.
func (a *admission) answer(view task.View, err error, fx *effects.List) {
	for _, q := range a.askers {
		q.tell(view, err, fx)
	}
	if a.askers = nil; a.settled != nil {
		close(a.settled)
		a.settled = nil
	}
}

// outcome returns a channel that is closed once a is accepted or refused.
func (a *admission) outcome() <-chan struct{} {
	if a.settled == nil {
		a.settled = make(chan struct{})
	}
	return a.settled
}

// admit puts a task into the queue, or answers why not, unless it is unclear whether it is
// one that is known. It returns the task that it is, which may be one that was submitted
// before; nil when it is refused. commit: it has to be committed before it is accepted.
func (e *Engine) admit(who access.Identity, a *admission, fx *effects.List) (member *ledger.Record, commit bool) {
	r := a.record
	if known := e.knownLocked(r); known != nil {
		return e.again(who, a, known, fx), false
	}
	if err := e.hasRunLocked(who, r); err != nil {
		a.answer(task.View{}, err, fx)
		return nil, false
	}
	err := e.watchLocked(who, r, a.watcher)
	if err == nil {
		err = e.placeLocked(who, a)
	}
	if err != nil {
		e.unwatchedLocked(r.UnwatchAll())
		e.submitted(r, err, fx)
		a.answer(task.View{}, err, fx)
		return nil, false
	}
	e.store.Add(r)
	e.store.Join(r, a.batch)
	switch {
	case r.Item.Place() == queue.Blocked:
		e.arriving[r] = a
	case e.kept(r):
		e.arriving[r] = a
		return r, true
	default:
		e.arrive(a, nil, fx)
	}
	return r, false
}

// knownLocked returns the task that r would be the same as: by its id, or by its
// idempotency key.
func (e *Engine) knownLocked(r *ledger.Record) *ledger.Record {
	e.evictLocked() // what is past its time is not known
	if known := e.store.Get(r.Task.ID); known != nil {
		return known
	}
	if x := r.Task.Extra; x != nil && x.IdempotencyKey != "" {
		return e.store.Keyed(r.Owner, x.IdempotencyKey)
	}
	return nil
}

// again answers for a task that was submitted before, and returns it if it is the same. It
// may leave that unclear.
func (e *Engine) again(who access.Identity, a *admission, known *ledger.Record, fx *effects.List) *ledger.Record {
	same := known.Owner == who.UID && a.sameLocked(known, a.record.Task)
	switch {
	case a.unclear != nil:
		return nil
	case !same:
		a.answer(task.View{}, fmt.Errorf("%w: %s", task.ErrConflict, known.Task.ID), fx)
		return nil
	}
	if a.watcher != nil && known.Result() != nil {
		fx.Event(a.watcher, known.ResultEvent())
	} else if err := e.watchLocked(who, known, a.watcher); err != nil {
		a.answer(task.View{}, err, fx)
		return nil
	}
	if first := e.arriving[known]; first != nil {
		first.take(a)
	} else {
		a.answer(known.View(), nil, fx)
	}
	return known
}

// take has those who asked for another wait for a.
func (a *admission) take(other *admission) {
	for _, q := range other.askers {
		q.waits = a
	}
	a.askers, other.askers = append(a.askers, other.askers...), nil
}

// commitLocked gives new tasks to the journal.
func (e *Engine) commitLocked(all ...*admission) {
	ops, made := make([]journal.Op, 0, len(all)), make([]journal.Accepted, len(all))
	var need journal.Need
	for i, a := range all {
		r := a.record
		a.stage = committing
		need = max(need, e.need(r))
		at := r.SubmittedAt()
		made[i] = journal.Accepted{Task: r.Task, Owner: r.Owner, Submitted: r.Submitted(),
			SubmittedAt: at.Wall, Uptime: at.Uptime, Pool: r.Pool.Name(), Batch: a.batch, Schedule: r.Schedule}
		ops = append(ops, journal.Op{Accepted: &made[i]})
		if a.end != nil {
			ops = append(ops, e.endOp(r, a.end))
		}
	}
	e.newest[need] = all[len(all)-1]
	early := e.hasty(all)
	e.addLocked(journal.Change{Need: need, Linger: e.linger(early, all), Ops: ops}, func(err error, fx *effects.List) { e.committed(all, err, fx) })
	e.hastenLocked(early)
}

// committed accepts tasks after their commit, or refuses them if it failed.
func (e *Engine) committed(all []*admission, err error, fx *effects.List) {
	switch {
	case errors.Is(err, journal.ErrClosed):
		err = fmt.Errorf("%w: it is stopping", api.ErrDraining)
	case err != nil:
		err = fmt.Errorf("%w: %w", task.ErrNoSpace, told(err))
	}
	for _, a := range all {
		e.arrive(a, err, fx)
	}
}

// told is what of an error of the journal callers are told: not where it lies.
func told(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return errors.New("the daemon's log says why")
}

// arrive accepts a task and dispatches it, or refuses it with err.
func (e *Engine) arrive(a *admission, err error, fx *effects.List) {
	r := a.record
	switch {
	case err != nil:
		e.turnAway(a, err, fx)
		return
	case a.end != nil:
		e.arriveEnded(a, fx)
		return
	}
	if a.early {
		e.arriveEarly(a, fx)
		return
	}
	delete(e.arriving, r)
	if a.held {
		e.queue.Settle(e.momentLocked(), r.Item, r.Times())
	}
	e.timers.kickIf(r.Task.Extra != nil || e.queue.Changed())
	to := ledger.Delayed
	if r.Item.Place() == queue.Ready {
		to = ledger.Ready
	}
	e.move(r, to, fx)
	e.metrics.submitted.Inc()
	e.submitted(r, nil, fx)
	e.dispatchSoonLocked(poolOf(r))
	a.answer(r.View(), nil, fx)
}

// turnAway removes a task that could not be accepted, and answers with err.
func (e *Engine) turnAway(a *admission, err error, fx *effects.List) {
	r := a.record
	delete(e.arriving, r)
	if e.stillRuns(r) {
		defer e.stopRefused(r, fx)
	} else {
		e.dropPledge(r)
		e.leaveQueueLocked(r)
	}
	e.unwatchedLocked(r.UnwatchAll())
	if a.end != nil && !a.together && e.kept(r) { // its end waits to be committed alone
		e.appendLocked(journal.Whenever, nil, journal.Op{Submitted: r.Submitted(), Forget: true})
	}
	e.submitted(r, err, fx)
	if err := e.store.Refuse(r); err != nil {
		fx.Log(hclog.Error, illegalMove, "task_id", r.Task.ID, "error", err)
	}
	a.answer(task.View{}, err, fx)
}

// leaveQueueLocked takes r out of the queue for good.
func (e *Engine) leaveQueueLocked(r *ledger.Record) {
	if r.Item != nil {
		e.queue.Remove(e.momentLocked(), r.Item)
		r.Item = nil
		e.timers.kickIf(e.queue.Changed())
	}
}

// unblocked accepts a task for which there is room now, after its commit.
func (e *Engine) unblocked(a *admission, fx *effects.List) {
	switch {
	case a.stage != blocked: // it was cancelled meanwhile
	case e.kept(a.record):
		e.commitLocked(a)
	default:
		e.arrive(a, nil, fx)
	}
}

// cancelArriving has a task that is not accepted yet be accepted as one that was
// cancelled: it never runs. What is under commit is followed there by its end, so that a
// daemon that dies in between does not run it either.
func (e *Engine) cancelArriving(a *admission, fx *effects.List) {
	r := a.record
	r.Stopping = true
	e.leaveQueueLocked(r)
	a.end = result(r, cancelled(), e.momentLocked())
	switch {
	case !e.kept(r):
		r.EndCursor()
		e.arrive(a, nil, fx)
	case a.stage == blocked:
		a.together = true
		e.commitLocked(a)
	default:
		e.appendLocked(e.need(r), func(err error, fx *effects.List) { e.endedArriving(a, err, fx) }, e.endOp(r, a.end))
	}
}

// arriveEnded accepts a task that was cancelled before.
func (e *Engine) arriveEnded(a *admission, fx *effects.List) {
	e.move(a.record, ledger.Ending, fx)
	e.metrics.submitted.Inc()
	e.submitted(a.record, nil, fx)
	if a.together || !e.kept(a.record) {
		e.revealArriving(a, fx)
	}
}

// endedArriving reveals the end of a task that was cancelled while it was committed, if
// it has been accepted. err means that the journal was closed first.
func (e *Engine) endedArriving(a *admission, err error, fx *effects.List) {
	switch {
	case a.record.Phase() == ledger.Refused:
	case err != nil:
		delete(e.arriving, a.record)
		a.answer(task.View{}, fmt.Errorf("%w: it is stopping", api.ErrDraining), fx)
	default:
		e.revealArriving(a, fx)
	}
}

func (e *Engine) revealArriving(a *admission, fx *effects.List) {
	delete(e.arriving, a.record)
	e.reveal(a.record, a.end, fx)
	a.answer(a.record.View(), nil, fx)
}
