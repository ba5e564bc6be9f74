package schedule

import (
	"time"

	"github.com/google/uuid"
)

// Fire is one time of one schedule.
type Fire struct {
	Schedule *Schedule
	At       time.Time
	// ID is the id that its task has, whenever it is submitted.
	ID uuid.UUID
}

// Plan is several schedules and how far each has been run. Like all of this
// package it has no clock, and no lock either.
type Plan struct {
	entries []*entry
	byName  map[string]*entry
}

// NewPlan returns the plan of schedules, whose names differ. known is what States
// returned, perhaps before a restart; a schedule that is not in it begins now.
func NewPlan(schedules []*Schedule, known map[string]State, now time.Time) *Plan {
	p := &Plan{byName: map[string]*entry{}}
	for _, s := range schedules {
		state, ok := known[s.options.Name]
		e := newEntry(s, state, ok, now)
		p.entries = append(p.entries, e)
		p.byName[s.options.Name] = e
	}
	return p
}

// Next returns when something is due next; false if nothing will be. What was missed
// and waits is not in it: that goes when a task has ended.
func (p *Plan) Next() (time.Time, bool) {
	var first time.Time
	for _, e := range p.entries {
		if !e.next.IsZero() && (first.IsZero() || e.next.Before(first)) {
			first = e.next
		}
	}
	return first, !first.IsZero()
}

// Waits reports whether a schedule has missed times that wait for its task to end.
func (p *Plan) Waits() bool {
	for _, e := range p.entries {
		if len(e.state.Missed) > 0 {
			return true
		}
	}
	return false
}

// SetBack tells the plan that the clock shows now, though later times have been looked
// at. It reports whether they have.
func (p *Plan) SetBack(now time.Time) (back bool) {
	for _, e := range p.entries {
		if e.setBack(now) {
			e.plan()
			back = true
		}
	}
	return back
}

// Ripe returns the schedules that are to be looked at: they are due, or have missed
// times and none of their tasks runs.
func (p *Plan) Ripe(now time.Time, busy func(*Schedule) bool) []*Schedule {
	var ripe []*Schedule
	for _, e := range p.entries {
		if !e.next.IsZero() && !e.next.After(now) || len(e.state.Missed) > 0 && !busy(e.schedule) {
			ripe = append(ripe, e.schedule)
		}
	}
	return ripe
}

// Look returns what of s is to be submitted now, in the order of time, and takes it
// as run. busy: a task of s has not ended.
func (p *Plan) Look(s *Schedule, now time.Time, busy bool) []Fire {
	e := p.byName[s.options.Name]
	if e == nil {
		return nil
	}
	var all []Fire
	for _, at := range e.fires(now, busy) {
		all = append(all, Fire{s, at, s.TaskID(at)})
	}
	return all
}

// Accepted notes that the task of f has been accepted.
func (p *Plan) Accepted(f Fire) {
	if e := p.byName[f.Schedule.options.Name]; e != nil {
		e.state.Last, e.state.LastAt = f.ID, f.At
	}
}

// Refused notes that the task of f has not been accepted.
func (p *Plan) Refused(f Fire, reason string) {
	if e := p.byName[f.Schedule.options.Name]; e != nil {
		e.state.RefusedAt, e.state.Reason = f.At, reason
	}
}

// State returns how far a schedule of the plan has been run.
func (p *Plan) State(name string) State { return p.byName[name].state }

// States returns how far each schedule has been run, by name. What they refer to does
// not change afterwards.
func (p *Plan) States() map[string]State {
	all := map[string]State{}
	for name, e := range p.byName {
		all[name] = e.state
	}
	return all
}

// Schedules returns the schedules of the plan.
func (p *Plan) Schedules() []*Schedule {
	all := make([]*Schedule, len(p.entries))
	for i, e := range p.entries {
		all[i] = e.schedule
	}
	return all
}

// Upcoming returns when each schedule fires next, in the order of the schedules;
// zero if it never does.
func (p *Plan) Upcoming() []time.Time {
	all := make([]time.Time, len(p.entries))
	for i, e := range p.entries {
		all[i] = e.next
	}
	return all
}
