package schedule_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/schedule"

	"github.com/google/uuid"
)

// configured makes schedules of "name=expression". They take CatchUp All and Overlap
// Queue, unless set changes that.
func configured(t testing.TB, set func(*schedule.Options), crons ...string) []*schedule.Schedule {
	t.Helper()
	var all []*schedule.Schedule
	for _, c := range crons {
		name, cron, _ := strings.Cut(c, "=")
		o := schedule.Options{Name: name, Cron: cron, TimeZone: "UTC", CatchUp: schedule.All, Overlap: schedule.Queue}
		if set != nil {
			set(&o)
		}
		all = append(all, must(t, o))
	}
	return all
}

func plan(t testing.TB, known map[string]schedule.State, now time.Time, crons ...string) *schedule.Plan {
	t.Helper()
	return schedule.NewPlan(configured(t, nil, crons...), known, now)
}

// due looks at all that is ripe while none of the tasks runs.
func due(p *schedule.Plan, now time.Time) string { return dueWhile(p, now, false) }

// runs says of every schedule whether its task runs.
func runs(busy bool) func(*schedule.Schedule) bool {
	return func(*schedule.Schedule) bool { return busy }
}

func dueWhile(p *schedule.Plan, now time.Time, busy bool) string {
	var got []string
	for _, s := range p.Ripe(now, runs(busy)) {
		for _, f := range p.Look(s, now, busy) {
			got = append(got, fmt.Sprintf("%s@%s", f.Schedule.Options().Name, f.At.Format("15:04")))
		}
	}
	return strings.Join(got, " ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

const newYear = "2026-01-01T00:00:00Z"

func TestAPlanRunsAllItsSchedules(t *testing.T) {
	start := moment(t, newYear)
	p := plan(t, nil, start, "half=30 * * * *", "full=0 * * * *", "late=45 23 * * *")
	if at, ok := p.Next(); !ok || !at.Equal(start.Add(30*time.Minute)) {
		t.Errorf("next is %v", at)
	}
	expect(t, "too early", due(p, start.Add(29*time.Minute)), "")
	expect(t, "after two hours", due(p, start.Add(2*time.Hour)), "half@00:30 half@01:30 full@01:00 full@02:00")
	expect(t, "again", due(p, start.Add(2*time.Hour)), "")
	if up := p.Upcoming(); up[0].Format("15:04") != "02:30" || up[1].Format("15:04") != "03:00" || up[2].Format("15:04") != "23:45" {
		t.Errorf("upcoming: %v", up)
	}
}

func TestARestartGoesOnWhereThePlanWas(t *testing.T) {
	start := moment(t, newYear)
	p := plan(t, nil, start, "a=0 * * * *")
	due(p, start.Add(time.Hour))
	restarted := plan(t, p.States(), start.Add(3*time.Hour+time.Minute), "a=0 * * * *", "new=0 * * * *")
	expect(t, "after the restart", due(restarted, start.Add(3*time.Hour+time.Minute)), "a@02:00 a@03:00")
}

func TestTheFirstTimeOfANewScheduleCanBeMissedToo(t *testing.T) {
	start := moment(t, newYear)
	before := plan(t, nil, start, "a=0 3 * * *").States() // stopped before it ever fired
	expect(t, "after 03:00", due(plan(t, before, start.Add(4*time.Hour), "a=0 3 * * *"), start.Add(4*time.Hour)), "a@03:00")
}

func TestAChangedScheduleBeginsNow(t *testing.T) {
	start := moment(t, newYear)
	p := plan(t, nil, start, "a=0 3 * * *")
	expect(t, "at 03:00", due(p, start.Add(3*time.Hour)), "a@03:00")
	noon := start.Add(15 * time.Hour)
	changed := plan(t, p.States(), noon, "a=0 12 * * *")
	expect(t, "changed to 12:00 at 15:00", due(changed, noon.Add(time.Second)), "")
	expect(t, "the day after", due(changed, noon.Add(21*time.Hour)), "a@12:00")
	abroad := schedule.NewPlan(configured(t, func(o *schedule.Options) { o.TimeZone = "America/New_York" }, "a=0 3 * * *"), p.States(), noon)
	expect(t, "another zone", due(abroad, noon.Add(time.Second)), "")
	back := plan(t, changed.States(), noon.Add(24*time.Hour), "a=0 3 * * *")
	expect(t, "changed back", due(back, noon.Add(24*time.Hour)), "")
	same := plan(t, p.States(), noon, "a=0  3 * *  *")
	if s := same.States()["a"]; !s.Until.Equal(p.States()["a"].Until) {
		t.Errorf("other white space is taken for another expression: %+v", s)
	}
}

func TestAnotherPolicyIsNotAnotherSchedule(t *testing.T) {
	start := moment(t, newYear)
	known := plan(t, nil, start, "a=0 * * * *").States()
	p := schedule.NewPlan(configured(t, func(o *schedule.Options) { o.CatchUp, o.Overlap = schedule.Last, schedule.Skip }, "a=0 * * * *"),
		known, start.Add(3*time.Hour+time.Minute*5))
	expect(t, "with another policy", due(p, start.Add(3*time.Hour+time.Minute*5)), "a@03:00")
}

func TestAnAbsentScheduleHasNoPast(t *testing.T) {
	start := moment(t, newYear)
	p := plan(t, nil, start, "a=0 * * * *")
	without := plan(t, p.States(), start.Add(30*time.Minute))
	again := plan(t, without.States(), start.Add(5*time.Hour+time.Minute), "a=0 * * * *")
	expect(t, "added again", due(again, start.Add(5*time.Hour+2*time.Minute)), "")
	expect(t, "an hour later", due(again, start.Add(6*time.Hour)), "a@06:00")
}

func TestCatchUpSaysWhatIsRunAfterADowntime(t *testing.T) {
	for _, c := range []struct {
		catchUp          schedule.CatchUp
		cron, since, now string
		want             string
	}{
		{schedule.None, "0 * * * *", newYear, "2026-01-01T05:30:00Z", ""},
		{schedule.None, "0 * * * *", newYear, "2026-01-01T05:00:59Z", "05:00"},
		{schedule.Last, "0 * * * *", newYear, "2026-01-01T05:30:00Z", "05:00"},
		{schedule.All, "0 * * * *", newYear, "2026-01-01T03:30:00Z", "01:00 02:00 03:00"},
		{schedule.All, "0 * * * *", "2026-01-01T03:00:00Z", "2026-01-01T03:59:59Z", ""},
		{schedule.Last, "0 0 1 1 *", "2020-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "00:00"},
		{schedule.All, "0 * * * *", "2026-01-01T05:00:00Z", newYear, ""}, // the clock was set back
	} {
		all := configured(t, func(o *schedule.Options) { o.CatchUp = c.catchUp }, "="+c.cron)
		p := schedule.NewPlan(all, schedule.NewPlan(all, nil, moment(t, c.since)).States(), moment(t, c.now))
		expect(t, fmt.Sprintf("%s, %q from %s to %s", c.catchUp, c.cron, c.since, c.now), strings.ReplaceAll(due(p, moment(t, c.now)), "@", ""), c.want)
	}
}

func TestCatchingUpIsBounded(t *testing.T) {
	now := moment(t, newYear)
	for _, overlap := range []schedule.Overlap{schedule.Queue, schedule.Skip} {
		all := configured(t, func(o *schedule.Options) { o.Overlap = overlap }, "a=* * * * *")
		p := schedule.NewPlan(all, nil, now.AddDate(-36, 0, 0))
		var fires []schedule.Fire
		for len(p.Ripe(now, runs(false))) > 0 {
			fires = append(fires, p.Look(all[0], now, false)...)
		}
		if n := len(fires); n != schedule.MaxMissed || !fires[0].At.Equal(now.Add(-99*time.Minute)) || !fires[n-1].At.Equal(now) {
			t.Errorf("%s: after 36 years: %d, from %v to %v", overlap, n, fires[0].At, fires[n-1].At)
		}
	}
}

func skipping(o *schedule.Options) { o.Overlap = schedule.Skip }

func TestMissedTimesRunOneAfterTheOther(t *testing.T) {
	start := moment(t, newYear)
	all := configured(t, skipping, "a=0 * * * *")
	p := schedule.NewPlan(all, nil, start)
	now := start.Add(3*time.Hour + 5*time.Minute)
	expect(t, "at once", due(p, now), "a@01:00")
	expect(t, "while it runs", dueWhile(p, now, true), "")
	p = schedule.NewPlan(all, p.States(), now) // a restart or a reload between
	expect(t, "then", due(p, now.Add(time.Second)), "a@02:00")
	if !p.Waits() || p.States()["a"].Skipped != 0 {
		t.Errorf("%+v", p.States()["a"])
	}
	expect(t, "in the end", due(p, now.Add(2*time.Second)), "a@03:00")
	expect(t, "and no more", due(p, now.Add(3*time.Second)), "")
}

func TestTimesThatWereMissedDoNotHoldUpThePresent(t *testing.T) {
	start := moment(t, newYear)
	p := schedule.NewPlan(configured(t, skipping, "a=0 * * * *"), nil, start)
	expect(t, "the first missed", due(p, start.Add(3*time.Hour+59*time.Minute)), "a@01:00")
	expect(t, "the present", due(p, start.Add(4*time.Hour)), "a@04:00") // the task of 01:00 has just ended
	expect(t, "the present, while a task runs", dueWhile(p, start.Add(5*time.Hour), true), "")
	if n := p.States()["a"].Skipped; n != 1 {
		t.Errorf("%d times were skipped", n)
	}
	expect(t, "the second missed", due(p, start.Add(5*time.Hour+time.Second)), "a@02:00")
	expect(t, "the third missed", due(p, start.Add(5*time.Hour+2*time.Second)), "a@03:00")
}

func TestAChangedScheduleRunsNothingThatTheOldOneMissed(t *testing.T) {
	start := moment(t, newYear)
	p := schedule.NewPlan(configured(t, skipping, "a=0 * * * *"), nil, start)
	now := start.Add(5*time.Hour + time.Minute)
	expect(t, "the first missed", due(p, now), "a@01:00")
	p = schedule.NewPlan(configured(t, skipping, "a=30 * * * *"), p.States(), now)
	expect(t, "changed", due(p, now), "")
}

func TestAClockThatIsSetBackMakesNothingDueAgain(t *testing.T) {
	start := moment(t, newYear)
	p := plan(t, nil, start, "a=0 * * * *")
	for h := range 5 {
		due(p, start.Add(time.Duration(h+1)*time.Hour))
	}
	two := start.Add(2 * time.Hour)
	if !p.SetBack(two) {
		t.Error("it was not set back")
	}
	expect(t, "set back", due(p, two), "")
	expect(t, "what has fired", due(p, two.Add(90*time.Minute)), "")
	if at, _ := p.Next(); !at.Equal(start.Add(6 * time.Hour)) {
		t.Errorf("next is %v", at)
	}
	restarted := plan(t, p.States(), two, "a=0 * * * *")
	expect(t, "after a restart", due(restarted, start.Add(6*time.Hour)), "a@06:00")
}

// The clock is set back to before a schedule was there, and right again.
func TestWhatWasBeforeAScheduleIsNotMissed(t *testing.T) {
	start := moment(t, newYear).Add(10 * time.Hour)
	for _, catchUp := range []schedule.CatchUp{schedule.Last, schedule.All} {
		missing := func(o *schedule.Options) { o.CatchUp = catchUp }
		p := schedule.NewPlan(configured(t, missing, "a=0 * * * *"), nil, start)
		p.SetBack(start.Add(-5 * time.Hour))
		p = schedule.NewPlan(configured(t, missing, "a=0 * * * *"), p.States(), start.Add(time.Minute))
		expect(t, "set right", due(p, start.Add(time.Minute)), "")
		expect(t, "missed", due(p, start.Add(time.Hour+5*time.Minute)), "a@11:00")
		p = schedule.NewPlan(configured(t, missing, "a=30 * * * *"), p.States(), start.Add(2*time.Hour))
		p.SetBack(start.Add(time.Hour))
		expect(t, "changed", due(p, start.Add(2*time.Hour)), "")
		p.SetBack(start.Add(-5 * time.Hour))
		expect(t, "by the clock", due(p, start.Add(-270*time.Minute)), "a@05:30")
	}
}

func TestAClockThatWasAheadIsFollowedWhenItIsSetRight(t *testing.T) {
	right := moment(t, newYear)
	wrong := right.AddDate(1, 0, 0)
	begun := func() *schedule.Plan {
		p := plan(t, nil, wrong, "a=* * * * *")
		expect(t, "while it was ahead", due(p, wrong.Add(time.Minute)), "a@00:01")
		return p
	}
	p := begun()
	p.SetBack(right)
	expect(t, "at the next minute", due(p, right.Add(time.Minute)), "a@00:01")
	restarted := plan(t, begun().States(), right, "a=* * * * *")
	expect(t, "over a restart", due(restarted, right.Add(time.Minute)), "a@00:01")
	if at, _ := restarted.Next(); !at.Equal(right.Add(2 * time.Minute)) {
		t.Errorf("next is %v", at)
	}
}

// A clock jumps a day ahead and back: what was run because of it does not come again,
// what was not run comes at its time.
func TestWhatAWrongClockDidNotRunComesAtItsTime(t *testing.T) {
	start := moment(t, newYear)
	last := func(o *schedule.Options) { o.CatchUp = schedule.Last }
	p := schedule.NewPlan(configured(t, last, "a=0 * * * *"), nil, start)
	expect(t, "a jump ahead", due(p, start.Add(10*time.Hour)), "a@10:00")
	p.SetBack(start.Add(time.Minute))
	for h := 1; h <= 11; h++ {
		want := fmt.Sprintf("a@%02d:00", h)
		if h == 10 {
			want = ""
		}
		expect(t, "by the right clock", due(p, start.Add(time.Duration(h)*time.Hour)), want)
	}
	p = schedule.NewPlan(configured(t, skipping, "a=0 * * * *"), nil, start)
	expect(t, "a jump ahead, all", due(p, start.Add(4*time.Hour+5*time.Minute)), "a@01:00")
	p.SetBack(start.Add(time.Minute))
	expect(t, "nothing is missed any longer", due(p, start.Add(2*time.Minute)), "")
	expect(t, "has run", due(p, start.Add(time.Hour)), "")
	expect(t, "comes at its time", due(p, start.Add(2*time.Hour)), "a@02:00")
}

func TestAStateHoldsWhatBecameOfTheTasks(t *testing.T) {
	start := moment(t, newYear)
	p := plan(t, nil, start, "a=0 * * * *")
	s := p.Ripe(start.Add(3*time.Hour), runs(false))[0]
	fires := p.Look(s, start.Add(3*time.Hour), false)
	p.Accepted(fires[0])
	p.Refused(fires[1], "no such script")
	before := p.States()
	p.Accepted(fires[2])
	a := before["a"]
	if a.Last != uuid.UUID(fires[0].ID) || !a.LastAt.Equal(fires[0].At) || !a.RefusedAt.Equal(fires[1].At) || a.Reason != "no such script" {
		t.Errorf("%+v", a)
	}
	p = plan(t, p.States(), start.Add(4*time.Hour), "a=5 * * * *") // also when its times are changed
	if a := p.States()["a"]; a.Last != fires[2].ID || a.Reason == "" {
		t.Errorf("%+v", a)
	}
	gone := plan(t, p.States(), start) // it must not fail for those that are gone
	gone.Accepted(fires[0])
	gone.Refused(fires[0], "")
	if len(gone.States()) != 0 || gone.Look(s, start.AddDate(1, 0, 0), false) != nil {
		t.Errorf("%v", maps.Collect(maps.All(gone.States())))
	}
}

func TestAPlanOfNothingIsNeverDue(t *testing.T) {
	p := schedule.NewPlan(nil, nil, time.Unix(0, 0))
	if _, ok := p.Next(); ok || p.Ripe(time.Unix(1e9, 0), runs(false)) != nil || p.Waits() {
		t.Error("something is due")
	}
}

func BenchmarkDueAfterADecade(b *testing.B) {
	now := time.Unix(1.77e9, 0)
	all := configured(b, func(o *schedule.Options) { o.TimeZone = "Europe/Berlin" }, "a=* * * * *")
	for b.Loop() {
		schedule.NewPlan(all, nil, now.AddDate(-10, 0, 0)).Look(all[0], now, false)
	}
}
