package daemon

import (
	"fmt"
	"maps"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
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

// scheduleLabel is the label that a schedule's tasks have with its name.
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

// replan puts the schedules to work. Those that were known go on from where they
// were. Engine.mu is held.
func (e *Engine) replan(all []*recurring, since map[string]time.Time) {
	schedules := make([]*schedule.Schedule, len(all))
	e.recurring = map[*schedule.Schedule]*recurring{}
	for i, r := range all {
		schedules[i] = r.schedule
		e.recurring[r.schedule] = r
	}
	e.schedules = all
	e.plan = schedule.NewPlan(schedules, since, e.now())
}

// fires are what is to be submitted now, and how far the schedules are then.
type fires struct {
	fires []schedule.Fire
	since map[string]time.Time
}

// dueSchedules takes what is due. While the engine accepts nothing, it stays due.
func (e *Engine) dueSchedules(now time.Time) fires {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining || !e.running {
		return fires{}
	}
	due := e.plan.Due(now)
	if len(due) == 0 {
		return fires{}
	}
	return fires{due, maps.Clone(e.plan.Since())}
}

func (f fires) submit(e *Engine) {
	if len(f.fires) == 0 {
		return
	}
	for _, fire := range f.fires {
		e.fire(fire)
	}
	if e.journal != nil { // after the tasks themselves: a restart between them submits them again, as the same
		e.journal.Append(nil, false, journal.Op{Schedules: f.since})
	}
}

// fire submits the task of one fire, also when the queue is full: nobody is there
// to try again.
func (e *Engine) fire(f schedule.Fire) {
	e.mu.Lock()
	r := e.recurring[f.Schedule]
	if r == nil || r.config.Overlap != schedule.Queue && e.unfinished(r.last) {
		if r != nil {
			r.skipped++
		}
		e.mu.Unlock()
		return
	}
	r.last, r.lastAt = &f.ID, f.At
	t := r.config.Task
	e.mu.Unlock()
	t.ID = f.ID
	t.Labels = maps.Clone(t.Labels)
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	t.Labels[scheduleLabel] = r.config.Name
	who := access.Identity{UID: r.owner}
	tell := func(_ task.View, err error) {
		if err != nil {
			e.log.Error("a scheduled task was not accepted", "schedule", r.config.Name, "at", f.At, "error", err)
		}
	}
	a, err := e.prepare(who, &t)
	if err != nil {
		tell(task.View{}, err)
		return
	}
	a.forced, a.answer = true, tell
	e.submit(who, a)
}

// unfinished reports whether a task is known that has not ended. Engine.mu is held.
func (e *Engine) unfinished(id *task.ID) bool {
	if id == nil {
		return false
	}
	r := e.store.tasks[*id]
	return r != nil && r.result == nil
}

// Schedules reports every schedule, in the order of the configuration.
func (e *Engine) Schedules() []api.ScheduleStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := e.plan.Upcoming()
	all := []api.ScheduleStatus{}
	for i, r := range e.schedules {
		o := r.schedule.Options()
		s := api.ScheduleStatus{Name: r.config.Name, Cron: o.Cron, TimeZone: o.TimeZone, Overlap: string(o.Overlap),
			CatchUp: string(o.CatchUp), Skipped: r.skipped, LastTask: r.last}
		if !next[i].IsZero() {
			s.Next = &next[i]
		}
		if r.last != nil {
			s.Last = &r.lastAt
		}
		all = append(all, s)
	}
	return all
}
