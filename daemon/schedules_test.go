package daemon_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/schedule"
	"cpulb/daemon/task"
)

// timetable is a farm with schedules. Its clock begins on 1 January 2000, 00:00 UTC.
type timetable struct{ *daemontest.Farm }

// keeping runs a test on a farm with a journal.
func keeping(t *testing.T, test func(f *timetable)) {
	t.Helper()
	daemontest.Keeping(t, journaled(), func(f *daemontest.Farm) { test(&timetable{f}) })
}

// restart has the daemon down for a while, and start with this configuration.
func (f *timetable) restart(c *config.Config, down time.Duration) {
	f.Helper()
	f.Stop()
	f.Pass(down)
	f.Offer(c)
	f.Restart()
}

// kill is restart after a death of the daemon.
func (f *timetable) kill(c *config.Config, down time.Duration) {
	f.Helper()
	f.Offer(c)
	f.CrashFor(down)
}

func journaled() *config.Config {
	c := daemontest.One(1, 4)
	c.Journal.Sync = "group"
	c.Results.TTL = 24 * 365 * time.Hour
	return c
}

// schedule is a block "s" whose task runs a script of fleettest.
func (f *timetable) schedule(cron, script, params string, change ...func(*config.Schedule)) *config.Config {
	c := journaled()
	s := config.Schedule{Name: "s", Options: schedule.Options{Name: "s", Cron: cron, TimeZone: "UTC"},
		Task: task.Task{ScriptPath: filepath.Join(f.Dir, script), Function: "main", Params: []byte(params), Type: task.IOBound, Priority: task.DefaultPriority}}
	for _, x := range change {
		x(&s)
	}
	c.Schedules = []config.Schedule{s}
	return c
}

func catchUpAll(s *config.Schedule) { s.CatchUp = schedule.All }
func queued(s *config.Schedule)     { s.Overlap = schedule.Queue }

func (f *timetable) reload(c *config.Config) {
	f.Helper()
	if err := f.Reload(c); err != nil {
		f.Fatal(err)
	}
}

// until lets time pass until the clock shows this time of the day.
func (f *timetable) until(clock string) {
	f.Helper()
	at, err := time.Parse("15:04:05", clock)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now().UTC()
	d := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC).Sub(now)
	if d < 0 {
		f.Fatalf("it is %s already", now)
	}
	f.Pass(d)
}

// mine are the schedule's tasks by the label, in the order of submission.
func (f *timetable) mine() []task.View {
	f.Helper()
	list, err := f.List(f.Context(), daemontest.Who(), api.Filter{Labels: map[string]string{"schedule": "s"}}, api.Page{Limit: 1000})
	if err != nil {
		f.Fatal(err)
	}
	slices.SortFunc(list.Tasks, func(a, b task.View) int { return a.SubmittedAt.Compare(b.SubmittedAt) })
	return list.Tasks
}

// ran: so many tasks of the schedule have been submitted.
func (f *timetable) ran(n int, when string) {
	f.Helper()
	if got := f.mine(); len(got) != n {
		f.Errorf("%s: %d tasks, want %d: %+v\n%s", when, len(got), n, f.status(), f.Log)
	}
}

func (f *timetable) status() api.ScheduleStatus {
	f.Helper()
	all := f.Engine.Schedules()
	if len(all) != 1 {
		f.Fatalf("%d schedules", len(all))
	}
	return all[0]
}

// last: the schedule fired for this time last.
func (f *timetable) last(clock string) {
	f.Helper()
	if s := f.status(); s.Last == nil || s.Last.UTC().Format("15:04") != clock {
		f.Errorf("the last time is %v, want %s", s.Last, clock)
	}
}

func TestAScheduleFiresAtItsTimes(t *testing.T) {
	keeping(t, func(f *timetable) {
		f.reload(f.schedule("*/20 * * * *", fleettest.Echo, "7"))
		f.until("00:19:59")
		f.ran(0, "too early")
		f.until("01:00:00")
		f.ran(3, "in an hour")
		s := f.status()
		if last := f.mine()[2]; s.LastTask == nil || *s.LastTask != last.ID || s.Next.Format("15:04") != "01:20" {
			t.Errorf("%+v", s)
		}
		f.last("01:00")
	})
}

func TestTheFirstTimeIsMissedTooWhileTheDaemonIsDown(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("0 3 * * *", fleettest.Echo, "7")
		f.restart(c, time.Minute)
		f.until("02:59:00")
		f.restart(c, 10*time.Minute)
		f.ran(1, "caught up")
		f.last("03:00")
		f.restart(c, time.Minute)
		f.ran(1, "after another restart")
		f.last("03:00")
	})
}

func TestAChangedScheduleDoesNotFireForThePast(t *testing.T) {
	for name, change := range map[string]func(f *timetable) *config.Config{
		"expression": func(f *timetable) *config.Config { return f.schedule("12 * * * *", fleettest.Echo, "7", catchUpAll) },
		"zone": func(f *timetable) *config.Config {
			return f.schedule("3 * * * *", fleettest.Echo, "7", catchUpAll, func(s *config.Schedule) { s.TimeZone = "Asia/Kolkata" }) // half an hour apart
		},
	} {
		t.Run(name+" at a reload", func(t *testing.T) {
			keeping(t, func(f *timetable) {
				f.reload(f.schedule("3 * * * *", fleettest.Echo, "7", catchUpAll))
				f.until("00:50:00")
				f.reload(change(f))
				f.Pass(2 * time.Second)
				f.ran(1, "after the change")
				f.last("00:03") // what is known by name stays
				f.Pass(time.Hour)
				f.ran(2, "an hour later")
			})
		})
		t.Run(name+" over a restart", func(t *testing.T) {
			keeping(t, func(f *timetable) {
				f.reload(f.schedule("3 * * * *", fleettest.Echo, "7", catchUpAll))
				f.until("00:04:00")
				f.restart(change(f), 46*time.Minute)
				f.Pass(2 * time.Second)
				f.ran(1, "after the change")
			})
		})
	}
}

func TestAScheduleThatWasAwayHasNoPast(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("0 * * * *", fleettest.Echo, "7", catchUpAll)
		f.reload(c)
		f.until("01:30:00")
		f.reload(journaled())
		f.until("03:30:00")
		f.reload(c)
		f.Pass(time.Second)
		f.ran(1, "taken away and added again by reloads")
		f.restart(journaled(), time.Hour)
		f.restart(c, time.Hour)
		f.Pass(time.Second)
		f.ran(1, "started without, and with it again")
	})
}

func TestAllThatWasMissedRunsOneAfterTheOther(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("0 * * * *", fleettest.Sleeps, `"2m"`, catchUpAll)
		f.restart(c, time.Minute)
		f.until("00:30:00")
		f.restart(c, 3*time.Hour) // 01:00, 02:00, 03:00
		f.ran(1, "at once")
		if s := f.status(); s.Missed != 2 || s.Skipped != 0 {
			t.Errorf("%+v", s)
		}
		f.Pass(2*time.Minute + 2*time.Second)
		f.ran(2, "when the first has ended")
		f.last("02:00")
		f.restart(c, time.Second) // which cuts off the second
		f.ran(2, "after a restart between")
		f.Pass(5 * time.Minute)
		f.ran(3, "in the end")
		if s := f.status(); s.Missed != 0 || s.Skipped != 0 {
			t.Errorf("%+v", s)
		}
		f.until("04:00:00")
		f.ran(4, "the present time")
		f.last("04:00")
	})
}

func TestAllThatWasMissedRunsAtOnceIfTasksMayOverlap(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("0 * * * *", fleettest.Sleeps, `"2m"`, catchUpAll, queued)
		f.restart(c, time.Minute)
		f.restart(c, 3*time.Hour+30*time.Minute)
		f.Pass(time.Second)
		f.ran(3, "at once")
	})
}

func TestAClockThatWasAheadAndIsSetRightDoesNotSilenceSchedules(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, setRight := range map[string]func(f *timetable, c *config.Config){
		"while it runs":  func(f *timetable, _ *config.Config) { f.SetClock(0); f.Pass(time.Second) },
		"over a restart": func(f *timetable, c *config.Config) { f.SetClock(0); f.restart(c, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			keeping(t, func(f *timetable) {
				c := f.schedule("* * * * *", fleettest.Echo, "7")
				f.SetClock(year)
				f.reload(c)
				f.until("00:01:30")
				f.ran(1, "while it is ahead")
				setRight(f, c)
				f.until("00:02:00")
				f.ran(2, "at the next minute")
				f.last("00:02")
				f.until("00:12:00")
				f.ran(12, "from then on")
			})
		})
	}
}

func TestWhatHasFiredDoesNotFireAgainWhenTheClockIsSetBack(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("*/10 * * * *", fleettest.Echo, "7")
		c.Results.TTL = time.Minute // its tasks are forgotten soon
		f.reload(c)
		f.until("02:05:00")
		f.Pass(10 * time.Minute)
		f.SetClock(-time.Hour)
		before := *f.status().Last
		f.Pass(time.Minute)
		if s := f.status(); s.Next.UTC().Format("15:04") != "02:20" || !s.Last.Equal(before) {
			t.Errorf("%+v", s)
		}
		f.restart(c, time.Minute)
		f.Pass(63 * time.Minute)
		if s := f.status(); s.Last.UTC().Format("15:04") != "02:20" || s.Next.UTC().Format("15:04") != "02:30" {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhatFallsDueWhileNothingIsAcceptedRunsAfterwards(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("0 * * * *", fleettest.Echo, "7")
		f.reload(c)
		if err := f.Engine.Drain(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		f.until("03:00:30")
		f.reload(c)
		f.ran(0, "while it drains")
		if err := f.Engine.Resume(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		f.Pass(time.Second)
		f.ran(1, "resumed")
		f.last("03:00")
	})
}

// Reloads come at any moment of a fire: none is lost.
func TestAReloadAtTheVeryMomentLosesNoTime(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("* * * * *", fleettest.Echo, "7", queued)
		f.reload(c)
		ctx, stop := context.WithCancel(f.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				if err := f.Offer(c)(); err != nil {
					t.Error(err)
				}
				time.Sleep(20 * time.Second)
			}
		}()
		f.until("00:30:30")
		stop()
		<-done
		f.ran(30, "in half an hour of reloads")
	})
}

// A death at any moment costs no time and doubles none, whatever had been noted by then.
func TestAKilledDaemonLosesNoTimeAndDoublesNone(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("*/10 * * * *", fleettest.Echo, "7", catchUpAll, queued)
		f.restart(c, time.Second)
		f.kill(c, time.Second) // before it has ever fired
		f.until("00:10:00")
		f.kill(c, 5*time.Minute)
		f.ran(1, "just after a time")
		f.kill(c, 20*time.Minute)
		f.ran(3, "over two times")
		f.last("00:30")
		f.kill(c, time.Minute)
		f.until("01:00:00")
		f.ran(6, "in an hour")
	})
}
