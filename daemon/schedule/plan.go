package schedule

import (
	"maps"
	"slices"
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
	schedules []*Schedule
	since     map[string]time.Time
	// next is the first time of each schedule after its since, zero if there is none.
	next []time.Time
}

// NewPlan returns the plan of schedules, whose names differ. since is what Since
// returned, perhaps before a restart; a schedule that is not in it begins now.
func NewPlan(schedules []*Schedule, since map[string]time.Time, now time.Time) *Plan {
	p := &Plan{schedules: schedules, since: map[string]time.Time{}, next: make([]time.Time, len(schedules))}
	for i, s := range schedules {
		from, known := since[s.options.Name]
		if !known {
			from = now
		}
		p.since[s.options.Name] = from
		p.next[i], _ = s.Next(from)
	}
	return p
}

// Next returns when something is due next; false if nothing will be.
func (p *Plan) Next() (time.Time, bool) {
	var first time.Time
	for _, at := range p.next {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first, !first.IsZero()
}

// Due returns what is to be submitted now, in the order of time, and takes it as
// run. A clock that was set back makes nothing due again.
func (p *Plan) Due(now time.Time) []Fire {
	var all []Fire
	for i, s := range p.schedules {
		if p.next[i].IsZero() || p.next[i].After(now) {
			continue
		}
		for _, at := range s.Due(p.since[s.options.Name], now) {
			all = append(all, Fire{s, at, s.TaskID(at)})
		}
		p.since[s.options.Name] = now
		p.next[i], _ = s.Next(now)
	}
	slices.SortStableFunc(all, func(a, b Fire) int { return a.At.Compare(b.At) })
	return all
}

// Since returns how far each schedule has been run, by name, to be kept until the
// tasks of what was due have been: then a restart neither loses nor doubles one.
func (p *Plan) Since() map[string]time.Time { return maps.Clone(p.since) }

// Upcoming returns when each schedule fires next, in the order of the schedules;
// zero if it never does.
func (p *Plan) Upcoming() []time.Time { return slices.Clone(p.next) }
