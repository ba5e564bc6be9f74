package daemon

import (
	"slices"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Every attempt is in the journal before its frame is sent: attempts go on counting, and
// it is known what ran when a daemon dies. For that a write is enough; what must not run
// twice waits until the disk has it.
//
// A disk can take long, or be full. What must not run twice then becomes a pledge without a
// slot, after noteWait: others have the slot meanwhile, and it is the first to have one
// once its note is there. So does what is not accepted yet. All else waits as long as there is hope: when the journal can't
// be written at all it goes without, and its note follows.

// noteWait is how long a slot is kept for an attempt that is being noted before that is
// looked at.
const noteWait = 50 * time.Millisecond

// pledge is an attempt that has not been sent.
type pledge struct {
	record *ledger.Record
	place  *fleet.Place // nil: it was given up
	// noted: the journal has it.
	noted bool
}

// note is the attempts that were given to the journal together.
type note struct {
	pledges []*pledge
	// due is when it is looked at whether it takes long.
	due time.Duration
	// answered: the journal has it, or never will.
	answered bool
}

// pledges are the attempts that have not been sent.
type pledges struct {
	of map[*ledger.Record]*pledge
	// given are those of a dispatch, to be noted at its end.
	given []*pledge
	// notes are those that the journal has been given, from the oldest that it has not answered
	// on. watched: a timer runs that looks at them.
	notes   []*note
	watched bool
	// late: a note has taken longer than noteWait, and one that gave its slot up still waits
	// for it. failing: the journal could not be written then, and no note has come since.
	late, failing bool
	// aside are tasks that have left the queue and must not run twice, while late.
	aside []*ledger.Record
}

// once reports whether r must not run twice.
func once(r *ledger.Record) bool {
	return r.Task.Extra != nil && r.Task.Extra.OnWorkerLost == task.Fail
}

// kept reports whether the journal has r.
func (e *Engine) kept(r *ledger.Record) bool { return e.journal != nil && !r.Volatile }

// setAside takes a task that has left the queue aside, if it would take a slot only to
// wait for the disk.
func (e *Engine) setAside(r *ledger.Record) bool {
	if !e.pledges.late || !once(r) || !e.kept(r) || e.pledges.of[r] != nil {
		return false
	}
	e.pledges.aside = append(e.pledges.aside, r)
	return true
}

// give makes r the task of a place in a slot. It is sent once its attempt has been noted.
func (e *Engine) give(r *ledger.Record, pl *fleet.Place, fx *effects.List) {
	if err := e.mayRunAs(r, pl); err != nil {
		pl.Return()
		e.end(r, notAllowed(err), fx)
		return
	}
	if o := unsupported(r.Task, pl); o != nil {
		pl.Return()
		e.end(r, *o, fx)
		return
	}
	e.seatLocked(r, pl)
	r.Worker = pl.Where()
	e.move(r, ledger.Sent, fx)
	if !e.kept(r) {
		r.Attempts++
		e.send(r, pl, fx)
		return
	}
	p := e.pledges.of[r]
	if p == nil {
		r.Attempts++
		p = &pledge{record: r}
	}
	p.place = pl
	if p.noted {
		e.launch(p, fx)
		return
	}
	e.pledges.of[r] = p
	e.pledges.given = append(e.pledges.given, p)
}

// noteGiven gives the attempts of a dispatch to the journal.
func (e *Engine) noteGiven(fx *effects.List) {
	given := e.pledges.given
	if len(given) == 0 {
		return
	}
	e.pledges.given = nil
	var written, synced []*pledge
	for _, p := range given {
		switch {
		case e.pledges.of[p.record] != p: // it was taken back
		case once(p.record):
			synced = append(synced, p)
		default:
			written = append(written, p)
		}
	}
	e.note(journal.Synced, synced)
	e.note(journal.Written, written)
	if e.pledges.failing {
		for _, p := range written {
			e.launch(p, fx)
		}
	}
}

// note gives attempts to the journal, which answers for all of them at once.
func (e *Engine) note(need journal.Need, some []*pledge) {
	if len(some) == 0 {
		return
	}
	n := &note{pledges: some, due: e.elapsed() + noteWait}
	ops, made := make([]journal.Op, len(some)), make([]journal.Progress, len(some))
	for i, p := range some {
		made[i] = dispatched(p.record)
		ops[i] = journal.Op{Submitted: p.record.Submitted(), Progress: &made[i]}
	}
	e.pledges.notes = append(e.pledges.notes, n)
	e.watchNotesLocked(noteWait)
	e.appendLocked(need, func(err error, fx *effects.List) { e.noted(n, err, fx) }, ops...)
}

func dispatched(r *ledger.Record) journal.Progress {
	p := progress(r, queue.Now{})
	p.Dispatched = true
	return p
}

// noteUsed notes that the attempt that r still runs has used up a retry, for a daemon that
// dies before its process has been reaped.
func (e *Engine) noteUsed(r *ledger.Record) {
	if !e.kept(r) {
		return
	}
	p := dispatched(r)
	p.Retries++
	e.appendLocked(journal.Written, nil, journal.Op{Submitted: r.Submitted(), Progress: &p})
}

// noted goes on with attempts once the journal has them, but for those that were taken
// back. err means that the journal is closed, and the daemon ends.
func (e *Engine) noted(n *note, err error, fx *effects.List) {
	n.answered = true
	e.pledges.forgetAnswered()
	if err != nil {
		return
	}
	for _, p := range n.pledges {
		p.noted = true
	}
	e.resumeLocked()
	for _, p := range n.pledges {
		switch r := p.record; {
		case e.pledges.of[r] != p:
		case p.place != nil:
			e.launch(p, fx)
		default:
			e.queue.Return(e.momentLocked(), r.Item, laneOf(r))
			e.dispatch(poolOf(r), fx)
		}
	}
}

// resumeLocked lets those into the queue again that were set aside, once all notes are
// there that others wait for without a slot: each that is sent too early is one more that
// a crash would end.
func (e *Engine) resumeLocked() {
	e.pledges.failing = false
	if !e.pledges.late {
		return
	}
	for _, p := range e.pledges.of {
		if p.place == nil && !p.noted {
			return
		}
	}
	aside := e.pledges.aside
	e.pledges.late, e.pledges.aside = false, nil
	for _, r := range aside {
		if !r.Phase().Over() {
			e.queue.Return(e.momentLocked(), r.Item, laneOf(r))
		}
	}
	e.timers.kick() // which dispatches
}

// forgetAnswered forgets notes that are answered, as far as they are the oldest.
func (p *pledges) forgetAnswered() {
	n := 0
	for n < len(p.notes) && p.notes[n].answered {
		n++
	}
	p.notes = slices.Delete(p.notes, 0, n)
}

// watchNotesLocked has somebody look after that time whether notes take long, unless somebody
// does already. There is one timer for all of them, which is left alone while they come and
// go: to set one for each would wake a thread each time.
func (e *Engine) watchNotesLocked(wait time.Duration) {
	if e.pledges.watched {
		return
	}
	e.pledges.watched = true
	time.AfterFunc(wait, func() {
		failing := e.journalFails()
		e.do(func(fx *effects.List) { e.lookAtNotes(failing, fx) })
	})
}

// lookAtNotes loses patience with notes that take long; failing: the journal can't be
// written.
func (e *Engine) lookAtNotes(failing bool, fx *effects.List) {
	now, next := e.elapsed(), time.Duration(0)
	for i := 0; i < len(e.pledges.notes); i++ { // more may come meanwhile
		n := e.pledges.notes[i]
		if !n.answered && n.due <= now {
			n.due = now + noteWait
			n.answered = !e.losePatience(n, failing, fx)
		}
		if !n.answered && (next == 0 || n.due < next) {
			next = n.due
		}
	}
	e.pledges.forgetAnswered()
	if e.pledges.watched = false; next != 0 {
		e.watchNotesLocked(next - now)
	}
}

// losePatience is for attempts whose note takes long; failing: the journal can't be
// written. again: it may still come in time.
func (e *Engine) losePatience(n *note, failing bool, fx *effects.List) (again bool) {
	for _, p := range n.pledges {
		if e.pledges.of[p.record] != p || p.place == nil {
			continue
		}
		e.pledges.late, e.pledges.failing = true, e.pledges.failing || failing
		switch {
		case once(p.record), e.arriving[p.record] != nil && !failing:
			e.giveUp(p, fx)
		case failing:
			e.launch(p, fx)
		default:
			again = true
		}
	}
	return again
}

// giveUp takes the slot from an attempt that has not been sent.
func (e *Engine) giveUp(p *pledge, fx *effects.List) {
	r, pl := p.record, p.place
	p.place = nil
	e.unseatLocked(r)
	r.Reset()
	e.move(r, ledger.Ready, fx)
	pl.GiveUp(fx)
}

// mayRunAs returns why r may not run in a place that would run it as its owner: a reload has
// made it one, or has taken the right from the owner, after r was submitted.
func (e *Engine) mayRunAs(r *ledger.Record, pl *fleet.Place) error {
	if !pl.AsCaller() {
		return nil
	}
	return e.rules.Load().MayBecome(r.Owner, pl.Where().Pool)
}

// launch sends an attempt to its slot that was a pledge until now.
func (e *Engine) launch(p *pledge, fx *effects.List) {
	if err := e.mayRunAs(p.record, p.place); err != nil {
		e.giveUp(p, fx)
		e.end(p.record, notAllowed(err), fx)
		return
	}
	e.forgetPledge(p)
	e.send(p.record, p.place, fx)
}

// send sends an attempt to its slot.
func (e *Engine) send(r *ledger.Record, pl *fleet.Place, fx *effects.List) {
	r.Mark()
	extras := r.Task.Extras()
	t := &plugins.Task{
		ID:          r.Task.ID.String(),
		ScriptPath:  r.Task.ScriptPath,
		Function:    r.Task.Function,
		Type:        r.Task.Type,
		Attempt:     int(r.Attempts),
		Labels:      r.Task.Labels,
		Traceparent: e.traceparentLocked(r),
		Source:      extras.Source,
		Env:         extras.Env,
		Cwd:         extras.Cwd,
		Params:      r.Task.Params,
		Timeout:     time.Duration(r.Task.Timeout),
	}
	if pl.AsCaller() {
		uid := r.Owner
		t.RunAs = &uid
	}
	pl.Launch(t, fx)
}

func (e *Engine) forgetPledge(p *pledge) { delete(e.pledges.of, p.record) }

// dropPledge takes an attempt of r back that has not been sent; false: there is none.
func (e *Engine) dropPledge(r *ledger.Record) bool {
	p := e.pledges.of[r]
	if p == nil {
		return false
	}
	e.forgetPledge(p)
	r.Attempts--
	return true
}

// withdraw has the next daemon know of attempts without a slot that they have not been
// sent. None gets a slot any more.
func (e *Engine) withdraw() {
	for r, p := range e.pledges.of {
		if p.place == nil {
			e.dropPledge(r)
			e.noteLocked(r, journal.Whenever, queue.Now{})
		}
	}
}

// pledged reports whether an attempt for the pool's workers waits outside of the queue.
func (e *Engine) pledged(p *fleet.Pool) bool {
	for r := range e.pledges.of {
		if r.Pool == p {
			return true
		}
	}
	for _, r := range e.pledges.aside {
		if r.Pool == p && !r.Phase().Over() {
			return true
		}
	}
	return false
}
