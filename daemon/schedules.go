package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/schedule"
	"cpulb/daemon/task"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
)

// recurring is one schedule block. It does not change: what is known of a schedule
// beyond its block is kept by its name, in Engine.plan and Engine.scheduled, so that it
// outlives a reload.
type recurring struct {
	config   config.Schedule
	schedule *schedule.Schedule
	owner    uint32
}

// scheduleLabel is the label with the schedule's name that its tasks get, for people to
// filter by. Anybody can set it, so nothing is decided by it: see ledger.Record.Schedule.
const scheduleLabel = "schedule"

// newRecurring makes the schedules of a configuration. Its error names all that nobody
// could run: an owner who does not exist, a script that is not there or may not be run.
func newRecurring(c *config.Config, who access.Lookup, rules *access.Rules) ([]*recurring, error) {
	var made []*recurring
	var wrong []error
	for _, block := range c.Schedules {
		s, err := schedule.New(block.Options)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("schedule %q: %w", block.Name, err))
			continue
		}
		r := &recurring{config: block, schedule: s, owner: rules.DaemonUID}
		if block.Owner != "" {
			owner, err := who.Resolve([]string{block.Owner}, nil)
			if err != nil {
				wrong = append(wrong, block.Wrong("owner", err))
				continue
			}
			r.owner = owner.Users[0]
		}
		if err := localZone(block.TimeZone); err != nil {
			wrong = append(wrong, block.Wrong("time_zone", err))
		}
		if err := cmp.Or(mayRun(rules, block.Task.ScriptPath), checkScript(block.Task.ScriptPath)); err != nil {
			wrong = append(wrong, block.Wrong("script_path", err))
		}
		if i, err := choose(c.Pools, &block.Task, rules, access.Identity{}); err == nil {
			if err := rules.MayRunAs(r.owner, c.Pools[i].Name); err != nil {
				wrong = append(wrong, block.Wrong("owner", err))
			}
		}
		made = append(made, r)
	}
	return made, errors.Join(wrong...)
}

// localZone refuses the daemon's own zone if it is one that nobody knows, which would
// silently be UTC.
func localZone(name string) error {
	tz := strings.TrimPrefix(os.Getenv("TZ"), ":")
	if name != "Local" || tz == "" {
		return nil
	}
	var err error
	if filepath.IsAbs(tz) {
		var data []byte
		if data, err = os.ReadFile(tz); err == nil {
			_, err = time.LoadLocationFromTZData(tz, data)
		}
	} else {
		_, err = time.LoadLocation(tz)
	}
	if err != nil {
		return fmt.Errorf("%w: the daemon's own zone, by its environment's TZ=%.64q, is not known", schedule.ErrZone, tz)
	}
	return nil
}

// mayRun reports why a schedule may not run a script. Who may submit does not matter:
// the configuration says so.
func mayRun(rules *access.Rules, script string) error {
	return rules.Check(access.Identity{}, access.Request{Action: access.Submit, ScriptPath: script})
}

// replanLocked starts the schedules. Those that were known go on from where they were.
func (e *Engine) replanLocked(all []*recurring, known map[string]schedule.State) {
	schedules := make([]*schedule.Schedule, len(all))
	e.recurring = map[*schedule.Schedule]*recurring{}
	for i, r := range all {
		schedules[i] = r.schedule
		e.recurring[r.schedule] = r
	}
	e.plan = schedule.NewPlan(schedules, known, e.now())
	e.notePlanLocked()
}

// notePlanLocked records in the journal how far the schedules have come. It follows the
// tasks of what was due, so a restart loses none of these.
func (e *Engine) notePlanLocked() {
	if e.journal == nil {
		return
	}
	all := map[string]journal.Schedule{}
	for name, s := range e.plan.States() {
		kept := journal.Schedule{Until: s.Until, Begun: s.Begun, Spec: s.Spec, Last: s.Last, LastAt: s.LastAt, Skipped: s.Skipped,
			RefusedAt: s.RefusedAt, Reason: s.Reason, Missed: s.Missed}
		for _, d := range s.Done {
			kept.Done = append(kept.Done, journal.Span(d))
		}
		all[name] = kept
	}
	e.appendLocked(journal.Written, nil, journal.Op{Schedules: all})
}

// planOf is how far the schedules had come when the journal was opened.
func planOf(j *journal.Journal) map[string]schedule.State {
	all := map[string]schedule.State{}
	for name, s := range j.Schedules() {
		known := schedule.State{Until: s.Until, Begun: s.Begun, Spec: s.Spec, Last: s.Last, LastAt: s.LastAt, Skipped: s.Skipped,
			RefusedAt: s.RefusedAt, Reason: s.Reason, Missed: s.Missed}
		for _, d := range s.Done {
			known.Done = append(known.Done, schedule.Span(d))
		}
		all[name] = known
	}
	return all
}

// runSchedules submits the tasks of schedules that are due. While the engine accepts
// nothing, they stay due.
func (e *Engine) runSchedules(now queue.Now) {
	var scripts []string
	e.do(func(*effects.List) {
		e.followClockLocked(now)
		for _, s := range e.ripeLocked(now.Wall) {
			scripts = append(scripts, e.recurring[s].config.Task.ScriptPath)
		}
	})
	if len(scripts) == 0 {
		return
	}
	looked := map[string]error{} // which may block, so not under the lock
	for _, path := range scripts {
		looked[path] = e.scripts.check(path, e.uptime())
	}
	e.do(func(fx *effects.List) { e.fireLocked(now.Wall, looked, fx) })
}

// ripeLocked returns the schedules to look at.
func (e *Engine) ripeLocked(now time.Time) []*schedule.Schedule {
	if e.draining || !e.running {
		return nil
	}
	return e.plan.Ripe(now, e.overlapsLocked)
}

// followClockLocked tells the plan when the clock on the wall was set back. Since the
// last look it has gone on by as much as the uptime.
func (e *Engine) followClockLocked(now queue.Now) {
	before := e.planned
	e.planned = now
	if before.Wall.IsZero() {
		return
	}
	set := now.Wall.Add(before.Uptime - now.Uptime)
	if e.plan.SetBack(set) && before.Wall.Sub(set) > time.Second { // else it was only slowed down
		e.notePlanLocked()
	}
}

// fireLocked submits the tasks of those schedules whose scripts have been looked at.
func (e *Engine) fireLocked(now time.Time, looked map[string]error, fx *effects.List) {
	ripe := e.ripeLocked(now)
	for _, s := range ripe {
		r := e.recurring[s]
		problem, ok := looked[r.config.Task.ScriptPath]
		if !ok { // a reload came between
			e.timers.kick()
			continue
		}
		for _, f := range e.plan.Look(s, now, e.overlapsLocked(s)) {
			e.fire(r, f, problem, fx)
		}
	}
	if len(ripe) > 0 {
		e.notePlanLocked()
	}
}

// fire submits the task of one fire, even when the queue is full: nobody would try
// again.
func (e *Engine) fire(r *recurring, f schedule.Fire, problem error, fx *effects.List) {
	who := access.Identity{UID: r.owner}
	e.evictLocked()
	switch known := e.store.Get(f.ID); {
	case known == nil:
	case known.Schedule == r.config.Name: // a daemon died before it had noted that
		e.plan.Accepted(f)
		return
	default: // anybody can work the id out and submit another task with it
		f.ID = task.NewID()
	}
	a, err := e.newAdmission(who, r.task(f))
	if err == nil {
		err = problem
	}
	if err == nil {
		err = mayRun(e.rules.Load(), r.config.Task.ScriptPath)
	}
	if err != nil {
		e.refusedLocked(f, err, fx)
		return
	}
	a.record.Schedule = r.config.Name
	a.forced = true
	a.submitter = a.ask(firing{e, f}.answered)
	if _, commit := e.admit(who, a, fx); commit {
		e.commitLocked(a)
	}
	e.recallSchedule(e.store.Get(f.ID))
}

// task is what is submitted for f.
func (r *recurring) task(f schedule.Fire) *task.Task {
	t := r.config.Task
	t.ID = f.ID
	t.Labels = map[string]string{scheduleLabel: r.config.Name}
	maps.Copy(t.Labels, r.config.Task.Labels)
	t.Labels[scheduleLabel] = r.config.Name
	return &t
}

// firing is a fire whose task has been submitted.
type firing struct {
	engine *Engine
	fire   schedule.Fire
}

// answered notes what became of the task.
func (f firing) answered(_ task.View, err error) {
	e := f.engine
	e.do(func(fx *effects.List) {
		if err != nil {
			e.refusedLocked(f.fire, err, fx)
		} else {
			e.plan.Accepted(f.fire)
		}
		e.notePlanLocked()
	})
}

func (e *Engine) refusedLocked(f schedule.Fire, err error, fx *effects.List) {
	e.plan.Refused(f, err.Error())
	fx.Log(hclog.Error, "a scheduled task was not accepted", "schedule", f.Schedule.Options().Name, "at", f.At, "error", err)
}

// overlapsLocked reports whether the last task of s has not ended, or still runs. A task
// that somebody has run again is not the schedule's.
func (e *Engine) overlapsLocked(s *schedule.Schedule) bool {
	r := e.scheduled[s.Options().Name]
	return r != nil && r.Phase() != ledger.Refused && (r.Result() == nil || e.stillRuns(r))
}

// recallSchedule notes r, which may be nil, as the last task of its schedule, if it has
// one.
func (e *Engine) recallSchedule(r *ledger.Record) {
	if r != nil && r.Schedule != "" {
		e.scheduled[r.Schedule] = r
	}
}

// recallLast follows up on tasks that the daemon before this one accepted, and died
// before it noted that. known are the schedules that it had.
func (e *Engine) recallLast(known map[string]schedule.State) {
	for _, s := range e.plan.Schedules() {
		name := s.Options().Name
		if _, ok := known[name]; !ok {
			continue
		}
		r, noted := e.scheduled[name], e.store.Get(e.plan.State(name).Last)
		if r != nil && (noted != nil && noted.Stamp() < r.Stamp() || e.plan.State(name).LastAt.IsZero()) {
			e.plan.Accepted(schedule.Fire{Schedule: s, At: r.Submitted(), ID: uuid.UUID(r.Task.ID)})
		}
	}
}

// Schedules reports every schedule, in the order of the configuration.
func (e *Engine) Schedules() []api.ScheduleStatus {
	return slices.Clone(e.schedules.get(context.Background()))
}

func (e *Engine) scheduleStatuses(context.Context) []api.ScheduleStatus {
	all := []api.ScheduleStatus{}
	e.do(func(*effects.List) {
		next := e.plan.Upcoming()
		for i, s := range e.plan.Schedules() {
			all = append(all, e.scheduleLocked(s, next[i]))
		}
	})
	return all
}

// scheduleLocked reports s, whose next time is zero when there is none.
func (e *Engine) scheduleLocked(s *schedule.Schedule, next time.Time) api.ScheduleStatus {
	o := s.Options()
	known := e.plan.State(o.Name)
	status := api.ScheduleStatus{Name: o.Name, Cron: o.Cron, TimeZone: o.TimeZone, Overlap: string(o.Overlap), CatchUp: string(o.CatchUp),
		Next: timeOrNil(next), Last: timeOrNil(known.LastAt), Skipped: known.Skipped, Missed: len(known.Missed),
		RefusedAt: timeOrNil(known.RefusedAt), RefusedReason: known.Reason, Owner: e.recurring[s].owner}
	if id := task.ID(known.Last); e.store.Get(id) != nil {
		status.LastTask = &id
	}
	return status
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
