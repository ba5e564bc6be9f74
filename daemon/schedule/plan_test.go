package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/schedule"
)

func plan(t *testing.T, since map[string]time.Time, now time.Time, crons ...string) *schedule.Plan {
	t.Helper()
	var all []*schedule.Schedule
	for _, c := range crons {
		name, cron, _ := strings.Cut(c, "=")
		all = append(all, must(t, schedule.Options{Name: name, Cron: cron, TimeZone: "UTC", CatchUp: schedule.All}))
	}
	return schedule.NewPlan(all, since, now)
}

func due(p *schedule.Plan, now time.Time) string {
	var got []string
	for _, f := range p.Due(now) {
		got = append(got, fmt.Sprintf("%s@%s", f.Schedule.Options().Name, f.At.Format("15:04")))
	}
	return strings.Join(got, " ")
}

func TestAPlanRunsAllItsSchedulesInTheOrderOfTime(t *testing.T) {
	start := moment(t, "2026-01-01T00:00:00Z")
	p := plan(t, nil, start, "half=30 * * * *", "full=0 * * * *", "late=45 23 * * *")
	if at, ok := p.Next(); !ok || !at.Equal(start.Add(30*time.Minute)) {
		t.Errorf("next is %v", at)
	}
	if got := due(p, start.Add(29*time.Minute)); got != "" {
		t.Errorf("due too early: %s", got)
	}
	if got := due(p, start.Add(2*time.Hour)); got != "half@00:30 full@01:00 half@01:30 full@02:00" {
		t.Errorf("due: %s", got)
	}
	if got := due(p, start.Add(2*time.Hour)); got != "" {
		t.Errorf("due twice: %s", got)
	}
	if up := p.Upcoming(); up[0].Format("15:04") != "02:30" || up[1].Format("15:04") != "03:00" || up[2].Format("15:04") != "23:45" {
		t.Errorf("upcoming: %v", up)
	}
}

func TestARestartGoesOnWhereThePlanWas(t *testing.T) {
	start := moment(t, "2026-01-01T00:00:00Z")
	p := plan(t, nil, start, "a=0 * * * *")
	due(p, start.Add(time.Hour))
	restarted := plan(t, p.Since(), start.Add(3*time.Hour+time.Minute), "a=0 * * * *", "new=0 * * * *")
	if got := due(restarted, start.Add(3*time.Hour+time.Minute)); got != "a@02:00 a@03:00" {
		t.Errorf("due after the restart: %s", got)
	}
	// A restart that had forgotten the last hour finds the same ids.
	again := plan(t, map[string]time.Time{"a": start}, start, "a=0 * * * *").Due(start.Add(time.Hour))
	first := plan(t, nil, start, "a=0 * * * *").Due(start.Add(time.Hour))
	if len(again) != 1 || len(first) != 1 || again[0].ID != first[0].ID {
		t.Errorf("%v and %v", again, first)
	}
}

func TestAClockThatIsSetBackMakesNothingDueAgain(t *testing.T) {
	start := moment(t, "2026-01-01T00:00:00Z")
	p := plan(t, nil, start, "a=0 * * * *")
	due(p, start.Add(5*time.Hour))
	if got := due(p, start.Add(2*time.Hour)); got != "" {
		t.Errorf("due again: %s", got)
	}
	if got := due(p, start.Add(6*time.Hour)); got != "a@06:00" {
		t.Errorf("due: %s", got)
	}
}

func TestAPlanOfNothingIsNeverDue(t *testing.T) {
	p := schedule.NewPlan(nil, nil, time.Unix(0, 0))
	if _, ok := p.Next(); ok || p.Due(time.Unix(1e9, 0)) != nil {
		t.Error("something is due")
	}
}
