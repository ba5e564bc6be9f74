package daemon

import (
	"fmt"
	"maps"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/schedule"
	"cpulb/daemon/task"
)

// recurring is one schedule block at work. Engine.mu guards last and skipped.
type recurring struct {
	config   config.Schedule
	schedule *schedule.Schedule
	owner    uint32
	// last is the task submitted last; skipped counts the fires that passed.
	last    *task.ID
	lastAt  time.Time
	skipped uint64
}

// scheduleLabel is the label with the schedule's name that its tasks get.
const scheduleLabel = "schedule"

// newRecurring makes the schedules of a configuration.
func newRecurring(all []config.Schedule, who access.Lookup, self uint32) ([]*recurring, error) {
	var made []*recurring
	for _, c := range all {
		s, err := schedule.New(c.Options)
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %w", c.Name, err)
		}
		r := &recurring{config: c, schedule: s, owner: self}
		if c.Owner != "" {
			owner, err := who.Resolve([]string{c.Owner}, nil)
			if err != nil {
				return nil, fmt.Errorf("schedule %q: owner: %w", c.Name, err)
			}
			r.owner = owner.Users[0]
		}
		made = append(made, r)
	}
	return made, nil
}

// replanLocked starts the schedules. Those that were known go on from where they were.
func (e *Engine) replanLocked(all []*recurring, since map[string]time.Time) {
	schedules := make([]*schedule.Schedule, len(all))
	e.recurring = map[*schedule.Schedule]*recurring{}
	for i, r := range all {
		schedules[i] = r.schedule
		e.recurring[r.schedule] = r
	}
	e.schedules = all
	e.plan = schedule.NewPlan(schedules, since, e.now())
}

// dueLocked returns what is due, and how far the schedules are once it has been
// submitted. While the engine accepts nothing, it stays due.
func (e *Engine) dueLocked(now time.Time) (due []schedule.Fire, since map[string]time.Time) {
	if e.draining || !e.running {
		return nil, nil
	}
	if due = e.plan.Due(now); len(due) > 0 {
		since = maps.Clone(e.plan.Since())
	}
	return due, since
}

// fireAll submits the tasks of schedules that are due.
func (e *Engine) fireAll(due []schedule.Fire, since map[string]time.Time) {
	for _, f := range due {
		e.fire(f)
	}
	if len(due) > 0 && e.journal != nil { // after the tasks themselves: a restart between them submits them again, as the same
		all := map[string]journal.Schedule{}
		for name, until := range since {
			all[name] = journal.Schedule{Until: until}
		}
		e.do(func(*effects.List) { e.journal.Append(journal.Written, nil, journal.Op{Schedules: all}) })
	}
}

// fire submits the task of one fire, even when the queue is full: nobody would try
// again.
func (e *Engine) fire(f schedule.Fire) {
	var r *recurring
	var t task.Task
	e.do(func(*effects.List) {
		if r = e.recurring[f.Schedule]; r == nil {
			return
		}
		if r.config.Overlap != schedule.Queue && e.unfinishedLocked(r.last) {
			r.skipped++
			r = nil
			return
		}
		r.last, r.lastAt = &f.ID, f.At
		t = r.config.Task
	})
	if r == nil {
		return
	}
	t.ID = f.ID
	t.Labels = maps.Clone(t.Labels)
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	t.Labels[scheduleLabel] = r.config.Name
	who := access.Identity{UID: r.owner}
	done := func(_ task.View, err error) {
		if err != nil {
			e.log.Error("a scheduled task was not accepted", "schedule", r.config.Name, "at", f.At, "error", err)
		}
	}
	a, err := e.prepare(who, &t)
	if err != nil {
		done(task.View{}, err)
		return
	}
	a.forced, a.submitter = true, a.ask(done)
	e.submit(who, a)
}

// Schedules reports every schedule, in the order of the configuration.
func (e *Engine) Schedules() []api.ScheduleStatus {
	all := []api.ScheduleStatus{}
	e.do(func(*effects.List) {
		next := e.plan.Upcoming()
		for i, r := range e.schedules {
			all = append(all, r.status(next[i]))
		}
	})
	return all
}

// status reports r, whose next time is zero when there is none.
func (r *recurring) status(next time.Time) api.ScheduleStatus {
	o := r.schedule.Options()
	s := api.ScheduleStatus{Name: r.config.Name, Cron: o.Cron, TimeZone: o.TimeZone, Overlap: string(o.Overlap),
		CatchUp: string(o.CatchUp), Skipped: r.skipped, LastTask: r.last}
	if !next.IsZero() {
		s.Next = &next
	}
	if r.last != nil {
		last := r.lastAt
		s.Last = &last
	}
	return s
}
