package daemon

import (
	"slices"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/ledger"
)

// dispatch gives waiting tasks to free slots, unless the engine drains or too much waits
// for the disk. There is no goroutine for it: whoever makes a dispatch possible makes it.
func (e *Engine) dispatch(p *fleet.Pool, fx *effects.List) {
	if e.draining || e.holdLocked() {
		p.EmptyWindows(fx)
		return
	}
	e.fillAlone(p, fx)
	p.TryLanes(func(threads, loops *fleet.Lane) {
		e.fill(p, p.Loops(), loops, nil, fx)
		e.fill(p, p.Threads(), threads, nil, fx)
		e.fill(p, p.Loops(), threads, nil, fx)
	})
	e.fill(p, p.Loops(), p.Loops(), nil, fx)
	e.fill(p, p.Threads(), p.Threads(), nil, fx)
	e.fill(p, p.Loops(), p.Threads(), nil, fx) // what the loops have no room for
	e.relieve(p, fx)
	e.noteGiven(fx)
}

// dispatchSoonLocked has the pool be dispatched at the end of this turn under the lock, once
// for all that the turn makes possible.
func (e *Engine) dispatchSoonLocked(p *fleet.Pool) {
	if !slices.Contains(e.due, p) {
		e.due = append(e.due, p)
	}
}

func (e *Engine) dispatchDue(fx *effects.List) {
	for len(e.due) > 0 {
		last := len(e.due) - 1
		p := e.due[last]
		e.due = e.due[:last]
		e.dispatch(p, fx)
	}
}

// relieve gives tasks to the workers for those who wait behind others.
func (e *Engine) relieve(p *fleet.Pool, fx *effects.List) {
	if threads, loops := p.ReliefThreads(), p.ReliefLoops(); threads.Room() || loops.Room() {
		e.fillRelief(p, threads, loops, fx)
	}
	wasDue := p.ReliefDue() != 0
	p.Relieve(fx)
	e.timers.kickIf(!wasDue && p.ReliefDue() != 0)
}

func (e *Engine) fillRelief(p *fleet.Pool, threads, loops *fleet.Lane, fx *effects.List) {
	forThreads := func(caller uint32) bool { return p.Relieved(threads, caller) }
	e.fill(p, p.Loops(), loops, func(caller uint32) bool { return p.Relieved(loops, caller) }, fx)
	e.fill(p, p.Threads(), threads, forThreads, fx)
	e.fill(p, p.Loops(), threads, forThreads, fx)
}

// fillAlone gives suspects to the workers that wait for one.
func (e *Engine) fillAlone(p *fleet.Pool, fx *effects.List) {
	for now := e.momentLocked(); ; {
		room, forAll := p.RoomAlone()
		if !room {
			break
		}
		it := e.queue.PopFor(now, p.Suspects(), p.HasNoneAlone)
		if it == nil && forAll {
			it = e.queue.Pop(now, p.Suspects())
		}
		if it == nil {
			break
		}
		e.give(it.Value, p.TakeAlone(it.Value), fx)
	}
	p.Isolate(fx)
}

// fill gives tasks of those callers for whom allow returns true, nil for all, that wait in
// one lane to the free slots of another.
func (e *Engine) fill(p *fleet.Pool, waiting, free *fleet.Lane, allow func(caller uint32) bool, fx *effects.List) {
	var at time.Duration // when it fits
	fits := func(r *ledger.Record) bool {
		at = e.elapsedLocked()
		return p.Fits(free, r, at)
	}
	for now := e.momentLocked(); free.Room(); {
		it := e.queue.PopIf(now, waiting.Index(), allow, fits)
		if it == nil && p.Level(free, fx) {
			continue
		}
		if it == nil {
			break
		}
		r := it.Value
		if e.setAside(r) {
			continue
		}
		e.give(r, p.Acquire(free, r, at), fx)
	}
	e.timers.kickIf(e.queue.Changed())
}

// laneOf returns where r waits.
func laneOf(r *ledger.Record) int { return poolOf(r).LaneOf(r.Task, r.Suspect) }

// poolOf returns the pool of a task that has one.
func poolOf(r *ledger.Record) *fleet.Pool { return r.Pool.(*fleet.Pool) }
