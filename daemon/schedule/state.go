package schedule

import (
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
)

// State is what is known of a schedule beyond its configuration.
type State struct {
	// Spec is what the rest holds for; see Schedule.Spec.
	Spec string
	// Until is up to when the schedule has been looked at. It is behind the present as
	// long as nothing is due, and never ahead of it.
	Until time.Time
	// Begun is when the schedule was first seen, or was seen with its Spec: times before
	// that were not missed, whatever is done to the clock. They are run if the clock
	// comes to show them.
	Begun time.Time
	// Done are the times that do not come again, whatever the clock shows: each of the
	// schedule's in them was run or let pass.
	Done []Span
	// Missed are times that are to be run yet, one after the other, in order.
	Missed []time.Time
	// Skipped counts the times that passed because the task before had not ended.
	Skipped uint64
	// Last is the task that was accepted last, LastAt the time that it is for.
	Last   uuid.UUID
	LastAt time.Time
	// RefusedAt is the latest time whose task was not accepted, Reason says why.
	RefusedAt time.Time
	Reason    string
}

// entry is one schedule of a Plan.
type entry struct {
	schedule *Schedule
	state    State
	// next is the first time that is due, zero if there is none.
	next time.Time
}

// newEntry goes on from a state, if it is known.
func newEntry(s *Schedule, state State, known bool, now time.Time) *entry {
	e := &entry{schedule: s, state: state}
	switch {
	case !known:
		e.state = State{Spec: s.Spec(), Until: now, Begun: now}
	case state.Spec == "": // from before there were any
		e.state.Spec = s.Spec()
	case state.Spec != s.Spec():
		e.state.Spec, e.state.Until, e.state.Begun, e.state.Missed = s.Spec(), now, now, nil
	}
	e.setBack(now)
	e.plan()
	return e
}

// plan finds the next time that has not been looked at.
func (e *entry) plan() {
	from := e.state.Until
	for {
		at, ok := e.schedule.Next(from)
		if !ok {
			e.next = time.Time{}
			return
		}
		end, done := spans(e.state.Done).end(at)
		if !done {
			e.next = at
			return
		}
		from = end
	}
}

// setBack follows a clock that shows an earlier time than before, and reports whether
// it does. What the wrong clock missed without running it is missed no longer.
func (e *entry) setBack(now time.Time) bool {
	if !now.Before(e.state.Until) {
		return false
	}
	e.state.Until = now
	e.state.Missed = slices.DeleteFunc(slices.Clone(e.state.Missed), func(at time.Time) bool {
		if at.After(now) {
			e.state.Done = spans(e.state.Done).without(at)
			return true
		}
		return false
	})
	return true
}

// look takes the times up to now as looked at, and returns those to be run.
func (e *entry) look(now time.Time) []time.Time {
	since := e.state.Until
	if !since.Before(now) {
		return nil
	}
	n := 1
	if e.schedule.options.CatchUp == All {
		n = MaxMissed
	}
	// What is on time counts, and what is late if the schedule was there at that time.
	looked := Span{later(since, earlier(e.state.Begun, now.Add(-Grace))), now}
	// One more tells whether any is forgotten.
	due := e.schedule.latest(spans(e.state.Done).gaps(looked), n+1)
	if len(due) > 0 {
		e.state.Begun = earlier(e.state.Begun, now) // by a clock that was set back before
	}
	forgotten := len(due) > n
	if forgotten {
		due = due[1:]
	}
	if e.schedule.options.CatchUp == None && len(due) > 0 && now.Sub(due[0]) > Grace {
		due, forgotten = nil, true
	}
	switch {
	case forgotten && len(due) > 0:
		looked.From = due[0].Add(-time.Nanosecond)
	case forgotten:
		looked.From = now
	}
	e.state.Done = spans(e.state.Done).with(looked)
	e.state.Until = now
	return due
}

// fires returns the times whose tasks are to be submitted now, in order, and takes
// them as run. busy: a task of the schedule has not ended.
func (e *entry) fires(now time.Time, busy bool) []time.Time {
	e.setBack(now)
	due := e.look(now)
	e.plan()
	o := e.schedule.options
	if o.Overlap == Queue {
		return due
	}
	var run []time.Time
	switch late := len(due) > 0 && now.Sub(due[len(due)-1]) > Grace; {
	case len(due) == 0:
	case o.CatchUp == All && (late || len(due) > 1):
		e.miss(due)
	case busy:
		e.state.Skipped++
	default:
		run, busy = due, true
	}
	if len(e.state.Missed) > 0 && !busy {
		run = append(run, e.state.Missed[0])
		e.state.Missed = e.state.Missed[1:]
	}
	return run
}

// miss puts times to those that are run one after the other. The latest count.
func (e *entry) miss(due []time.Time) {
	all := append(slices.Clone(e.state.Missed), due...)
	e.state.Missed = all[max(0, len(all)-MaxMissed):]
}

// latest returns the last n times in some spans, which are in order. It looks back
// further and further, so that it takes no longer after a long time than after a
// short one.
func (s *Schedule) latest(in []Span, n int) []time.Time {
	var found []time.Time
	for _, x := range slices.Backward(in) {
		if len(found) < n {
			found = append(s.latestIn(x, n-len(found)), found...)
		}
	}
	return found
}

func (s *Schedule) latestIn(in Span, n int) []time.Time {
	for span := time.Hour; ; span *= 2 {
		from := in.To.Add(-span)
		whole := !from.After(in.From) || span > math.MaxInt64/2
		if whole {
			from = in.From
		}
		var found []time.Time
		for at, ok := s.Next(from); ok && !at.After(in.To); at, ok = s.Next(at) {
			found = append(found, at)
		}
		if whole || len(found) >= n {
			return found[max(0, len(found)-n):]
		}
	}
}
