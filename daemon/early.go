package daemon

import (
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// A free slot may get a task while the commit of its acceptance is under way. A short one has
// ended before that, and then one sync does for its acceptance and its Result. Until it is
// accepted nobody is shown anything of it: who looks for it waits, its events wait with its
// admission, and it counts as pending. If it turns out that it is not accepted it is stopped, and what comes of it is
// dropped; until it has stopped it holds what it held.
//
// When the disk takes long such a task gives its slot back, and none gets one meanwhile: tasks
// that need not be committed go on.
//
// Not so a task that must not run twice, of which a daemon that dies has to know that it may
// have run, and one that waits for something else anyway.

// mostLinger bounds how long the sync of an acceptance waits for the Result.
const mostLinger = time.Millisecond

// hasty returns those of new tasks that a free slot may get before they are accepted.
func (e *Engine) hasty(all []*admission) (early []*admission) {
	if e.draining || !e.running || e.held || e.pledges.late || e.pledges.failing || e.journal.Troubled() {
		return nil
	}
	for _, a := range all {
		r := a.record
		if a.held && a.end == nil && !once(r) && r.Schedule == "" && r.Item.Place() == queue.Waiting && ready(r) && hasRoom(r) {
			early = append(early, a)
		}
	}
	return early
}

// ready reports whether a task has nothing to wait for but a slot.
func ready(r *ledger.Record) bool {
	return r.Task.Extra == nil || r.Times() == queue.Times{} && r.Task.Extra.ConcurrencyKey == ""
}

// hasRoom reports whether there may be a slot for r.
func hasRoom(r *ledger.Record) bool {
	p := poolOf(r)
	return p.Threads().Room() || laneOf(r) == p.Loops().Index() && p.Loops().Room()
}

// linger is how long the sync of new tasks may wait: early are those of them that may run
// meanwhile.
func (e *Engine) linger(early, all []*admission) time.Duration {
	if e.awaited.any(e.elapsedLocked()) {
		return mostLinger
	}
	if len(early) < len(all) {
		return 0
	}
	for _, a := range all {
		if !brief(a.record) {
			return 0
		}
	}
	return mostLinger
}

// lingerEnded is how long the sync of a Result may wait: for those that are about to come.
func (e *Engine) lingerEnded() time.Duration {
	if e.awaited.any(e.elapsedLocked()) {
		return mostLinger
	}
	return 0
}

// brief reports whether r is expected to end about as soon as a sync.
func brief(r *ledger.Record) bool {
	expected := poolOf(r).Expected(r.Task)
	return expected != 0 && expected <= mostLinger
}

// hastenLocked lets tasks leave the queue that are being committed.
func (e *Engine) hastenLocked(early []*admission) {
	for _, a := range early {
		a.early = true
		e.store.Early(a.record)
		e.queue.Settle(e.momentLocked(), a.record.Item, queue.Times{})
		e.dispatchSoonLocked(poolOf(a.record))
	}
}

// arriveEarly accepts a task that may have left the queue already, or have ended.
func (e *Engine) arriveEarly(a *admission, fx *effects.List) {
	r := a.record
	e.metrics.submitted.Inc()
	e.submitted(r, nil, fx)
	e.store.Accept(r)
	if r.Stopping && r.Phase() == ledger.Ending && a.ended == nil {
		a.accepted = true // as one that was cancelled, which is not committed yet
		return
	}
	delete(e.arriving, r)
	e.catchUp(a, fx)
	switch {
	case a.ended != nil:
		a.ended(fx)
	case r.Phase() == ledger.Arriving:
		e.move(r, ledger.Ready, fx)
		e.follow(r, r.Item.Place(), fx) // it may have had to make room meanwhile
		e.dispatchSoonLocked(poolOf(r))
	}
	a.answer(r.View(), nil, fx)
}

// catchUp shows the events of a task that has been accepted.
func (e *Engine) catchUp(a *admission, fx *effects.List) {
	events, watchers := a.record.Kept()
	for _, ev := range append(a.unseen, events...) {
		for _, w := range watchers {
			fx.Event(w, ev)
		}
	}
}

// endedEarly follows up on the end of a task, which the journal has, if that is not accepted:
// it reports whether that is so.
func (e *Engine) endedEarly(r *ledger.Record, ended func(fx *effects.List), fx *effects.List) bool {
	a := e.arriving[r]
	switch {
	case a == nil:
		return r.Phase() == ledger.Refused
	case a.accepted:
		delete(e.arriving, r)
		e.catchUp(a, fx)
		ended(fx)
		a.answer(r.View(), nil, fx)
	default:
		a.ended = ended
	}
	return true
}

// stopRefused stops a task that was not accepted and that a slot has.
func (e *Engine) stopRefused(r *ledger.Record, fx *effects.List) {
	e.unsaved.remove(r)
	pl := e.places[r]
	if pl.Sent() {
		pl.Stop(plugins.StopCancelled, fx)
		return
	}
	e.takeBack(r)
	e.letGo(r, fx)
	pl.GiveUp(fx)
}

// mostUnseen bounds the events that wait with an admission: the newest tell what is so now.
const mostUnseen = 16

// note keeps an event of a task that is not accepted yet, unless its log does.
func (a *admission) note(ev *task.Event) {
	if a.record.HasLog() {
		return
	}
	if len(a.unseen) == mostUnseen {
		a.unseen = a.unseen[1:]
	}
	a.unseen = append(a.unseen, ev)
}
