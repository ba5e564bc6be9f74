package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cpulb/daemon/canary"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// A program that is to take the place of another can be a canary first: each pool of its
// executor gets two more workers, beside its seats. One runs the new program and gets at most
// a share of the pool's tasks; the other, the control, runs the old one and gets as many. They
// begin together and run on the same CPUs, so what they do differently is the programs' doing,
// and package canary tells whether it is worse. The other workers are no measure: they are
// warm, and have CPUs to themselves.
//
// The share is of the tasks that have ended elsewhere: for each of the canary's, at 10 %, nine
// that were given to other workers of the pool since the trial began. A task for which the
// canary has no free slot waits for any other, as always.
//
// A trial ends for the worse, at once, when a canary dies, breaks the contract, does not
// answer, says that it is spent, fails a task itself or can't be started again; none of that
// is counted against the tasks that it has. They run again elsewhere; those that must not run
// twice never go to a canary.

// Trial is a program's time as a canary, in all pools of its executor. The Owner's lock
// guards it.
type Trial struct {
	// Share is how much the canaries get at most, of 1.
	share float64
	ends  time.Duration // by Fleet.Elapsed
	test  *canary.Test
	pools []*Pool
	// tasks were given to canaries; others, given to other workers, have ended.
	tasks, others int
	// uncontrolled: the old program is gone, and there are no controls.
	uncontrolled bool
	// worse is why the trial has ended before its time. over is closed then.
	worse error
	over  chan struct{}
	// closed: its time is over, see trialend.go; emptied is closed once the canaries have
	// ended what they had then.
	closed  bool
	emptied chan struct{}
	paces   map[string]*pace // by entry point
}

// TrialCounts says how far a Trial is.
type TrialCounts struct {
	Share                 float64
	Tasks, Failed, Others int
	Left                  time.Duration
}

// CountsLocked says how far it is; ok is false before it has begun.
func (t *Trial) CountsLocked(f *Fleet) (c TrialCounts, ok bool) {
	if t.test == nil {
		return c, false
	}
	c = TrialCounts{Share: t.share, Tasks: t.tasks, Failed: t.test.Counts().Failures[canary.New], Others: t.others}
	if len(t.pools) > 0 && t.worse == nil {
		c.Left = max(0, t.ends-f.ElapsedLocked())
	}
	return c, true
}

// tryout is a pool's part of a Trial.
type tryout struct {
	of      *Trial // nil: there is none
	canary  *Seat
	control *Seat // nil: there is none
	// given and controls are how many tasks both have got, others how many of those that were
	// given to other workers since the trial began have ended.
	given, controls, others int
	lost                    int // controls
	// lanes are those of the slots of both.
	canaryThreads, canaryLoops, controlThreads, controlLoops Lane
}

func (y *tryout) init(threads, loops *holders) {
	y.canaryThreads, y.canaryLoops = newLane(threads, false), newLane(loops, true)
	y.controlThreads, y.controlLoops = newLane(threads, false), newLane(loops, true)
	y.canaryThreads.may, y.canaryLoops.may = y.mayTry, y.mayTry
	y.controlThreads.may, y.controlLoops.may = y.mayControl, y.mayControl
}

// all are its lanes.
func (y *tryout) all() []*Lane {
	return []*Lane{&y.canaryThreads, &y.canaryLoops, &y.controlThreads, &y.controlLoops}
}

func (y *tryout) seats() (all []*Seat) {
	for _, s := range []*Seat{y.canary, y.control} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

// mayTry reports whether the canary may get one more task.
func (y *tryout) mayTry() bool {
	return y.of != nil && !y.of.closed && float64(y.given+1) <= y.of.share*float64(y.given+1+y.others)
}

// mayControl reports whether the control may: it gets one for each of the canary's.
func (y *tryout) mayControl() bool { return y.of != nil && !y.of.closed && y.controls < y.given }

// TryLanes yields the free slots of canaries and controls that may have a task now, threads
// and loops in turn; nil: there are none.
func (p *Pool) TryLanes(fill func(threads, loops *Lane)) {
	y := &p.tryout
	if y.of == nil {
		return
	}
	fill(&y.canaryThreads, &y.canaryLoops)
	fill(&y.controlThreads, &y.controlLoops)
}

// takesInTrial reports whether a task can be given to the lane's worker, which a canary or a
// control has for itself. A suspect can't: only a death in a worker of a program that is known
// proves something. Nor can a task that must not run twice: a canary that dies would take it along.
func (n *Lane) takesInTrial(h Hold) bool {
	for _, w := range n.entries {
		t := h.Info()
		once := t.Extra != nil && t.Extra.OnWorkerLost == task.Fail
		return !once && !h.Suspected() && lacks(&w.described, t) == ""
	}
	return false
}

// gave notes that a slot of a kind of worker has got a task.
func (y *tryout) gave(k kind) {
	switch {
	case y.of == nil:
	case k == trying:
		y.given++
		y.of.tasks++
	case k == controlling:
		y.controls++
	}
}

// tried notes how an attempt has ended that ran to its end.
func (pl *Place) tried(o plugins.Outcome, fx *effects.List) {
	y, t, k := &pl.slot.pool.tryout, pl.during, pl.slot.worker.seat.kind
	if t == nil || y.of != t {
		return
	}
	if k != trying {
		y.others++
		t.others++
	}
	if o.Status != task.Cancelled {
		t.notePace(pl.entry(), k == trying, o.RunTime)
	}
	side := canary.Old
	switch {
	case o.Status == task.Cancelled:
		return
	case k == trying:
		side = canary.New
	case k != controlling && !t.uncontrolled:
		return
	}
	x := pl.hold.Info()
	failed := o.Status != task.Completed || x.Timeout > 0 && o.RunTime > time.Duration(x.Timeout)
	run := o.RunTime
	switch {
	case t.uncontrolled:
		run = 0 // who ran alone is no measure for who did not
	case run == 0: // the executor does not say; in both its slots a task begins when it is sent
		run = pl.slot.pool.fleet.ElapsedLocked() - pl.sentAt
	}
	t.test.Observe(side, pl.entry(), failed, run)
	if v := t.test.Verdict(); v.Decision == canary.Worse {
		t.isWorse(errors.New(v.Words), fx)
	}
}

// isWorse ends a trial for the worse: the canaries get no more tasks and end those that they
// have.
func (t *Trial) isWorse(why error, fx *effects.List) {
	if t.worse != nil || len(t.pools) == 0 {
		return
	}
	t.worse = why
	fx.Log(hclog.Error, "the canary is worse: it gets no more tasks", "reason", why, "tasks", t.tasks)
	t.end()
	close(t.over)
}

// end lets the canaries and the controls go.
func (t *Trial) end() {
	for _, p := range t.pools {
		for _, s := range p.tryout.seats() {
			p.dismiss(s)
		}
		y := &p.tryout
		y.of, y.canary, y.control, y.given, y.controls, y.others, y.lost = nil, nil, nil, 0, 0, 0, 0
	}
	t.pools = nil
}

// failedTrial ends the trial of a canary that did something that no sound program does.
// Workers of other seats are not concerned.
func (w *Worker) failedTrial(what string, fx *effects.List) {
	w.failedRoll(what)
	switch y := &w.pool.tryout; {
	case y.of == nil:
	case y.canary == w.seat:
		y.of.isWorse(fmt.Errorf("worker %s %s%s", w.spec.ID, what, w.words()), fx)
	case y.control == w.seat:
		if y.lost++; y.lost == mostControls {
			y.of.isWorse(fmt.Errorf("there is nothing to compare with: worker %s was lost %d times, and %s at last%s", w.spec.ID, y.lost, what, w.words()), fx)
		}
	}
}

// mostControls is how many controls a trial may lose: without one nothing is proven.
const mostControls = 3

// NewTrial has the workers of an executor's pools be canaries, for d, when they are proven.
// uncontrolled: the old program can't be started any more.
func (r *Rollout) NewTrial(executor string, share float64, uncontrolled bool) *Trial {
	t := &Trial{share: share, uncontrolled: uncontrolled, over: make(chan struct{}), emptied: make(chan struct{}), paces: map[string]*pace{}}
	for _, c := range r.changes {
		if c.exchanged && !c.fresh && c.layout.config.Executor == executor {
			c.trial = t
		}
	}
	return t
}

// proveTrial starts a canary and a control.
func (c *change) proveTrial(ctx context.Context) error {
	p := c.pool
	p.fleet.do(func(*effects.List) {
		spec, core := p.reliefSpec() // where the fewest run
		spec.ID = p.config.Name + "-control"
		c.control = newSeat(p, controlling, spec, core)
		next := c.layout.spec
		next.ID, next.CPUs = p.config.Name+"-canary", spec.CPUs
		c.canary = newSeat(p, trying, next, core)
	})
	var err error
	if c.proven, err = (runner{c.canary}).launch(ctx, c.canary.spec, c.canary.core); err != nil || c.trial.uncontrolled {
		return err
	}
	if c.controls, err = (runner{c.control}).launch(ctx, c.control.spec, c.control.core); err != nil {
		return fmt.Errorf("the old program, to compare with: %w", err)
	}
	return nil
}

// Try has a trial go on for d, and then for as long again until its canaries have ended what they have. It returns nil when it has passed, else why it has not; ctx
// ends it, too. The canaries have left then, or end what they have.
func (r *Rollout) Try(ctx context.Context, t *Trial, d time.Duration) error {
	f := r.fleet
	var some []*change
	for _, c := range r.changes {
		if c.trial == t {
			some = append(some, c)
		}
	}
	f.do(func(*effects.List) {
		t.test = canary.NewTest(canary.Options{})
		t.ends = f.ElapsedLocked() + d
		for _, c := range some {
			c.beginTrialLocked(t)
		}
	})
	if len(some) == 0 {
		return nil
	}
	for _, c := range some {
		c.seatTrial()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	var stopped error
	select {
	case <-timer.C:
		stopped = t.await(ctx, f, d)
	case <-t.over:
	case <-ctx.Done():
		stopped = context.Cause(ctx)
	}
	var err error
	f.do(func(fx *effects.List) {
		if v := t.test.Last(); stopped == nil && v.Decision == canary.Worse {
			t.isWorse(errors.New(v.Words), fx)
		} else if late := t.late(f.ElapsedLocked()); stopped == nil && late != nil {
			t.isWorse(late, fx)
		}
		if err = t.worse; err == nil {
			err = stopped
		}
		t.end()
	})
	return err
}

// beginTrialLocked has the pool give tasks to the workers that were proven for a trial, once
// they are seated.
func (c *change) beginTrialLocked(t *Trial) {
	y := &c.pool.tryout
	y.of, y.canary = t, c.canary
	if c.controls != nil {
		y.control = c.control
	}
	t.pools = append(t.pools, c.pool)
}

// seatTrial seats them. Their seats are filled from now on.
func (c *change) seatTrial() {
	_ = runner{c.canary}.fill(c.takeProven()) // it is ready
	if w := c.controls; w != nil {
		c.controls = nil
		_ = runner{c.control}.fill(w)
	}
}

// faultedInTrial deals with a task that the new program has failed: its owner does not count
// it.
func (pl *Place) faultedInTrial(h Hold, o plugins.Outcome, fx *effects.List) {
	s, w, owner := pl.slot, pl.slot.worker, pl.slot.pool.fleet.Owner
	if o.Fault == plugins.Unrun {
		owner.Returned(h, Recalled, fx)
	} else {
		owner.Lost(h, Death{Worker: w.spec.ID, Exit: "its executor failed it: " + reason(o)}, s.pool, fx)
	}
	w.failedTrial("failed a task itself: "+reason(o), fx)
	w.drain(unfitness, fx)
}

// trial is what the workers of such a seat are called to clients.
func (k kind) trial() string {
	switch k {
	case trying:
		return "canary"
	case controlling:
		return "control"
	}
	return ""
}

// trialWorkers is how many more workers a pool has during a trial; each may have a successor
// for a moment.
const trialWorkers = 4
