package daemon_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"cpulb/daemon"
	"cpulb/daemon/access"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/schedule"
)

func TestAScheduleThatCanNotRunIsRefused(t *testing.T) {
	keeping(t, func(f *timetable) {
		before := f.schedule("* * * * *", fleettest.Echo, "7")
		f.reload(before)
		folder := func(s *config.Schedule) { s.Task.ScriptPath = f.Dir }
		for what, c := range map[string]*config.Config{
			"does not exist":           f.schedule("* * * * *", "gone.py", "7"),
			"is a folder":              f.schedule("* * * * *", fleettest.Echo, "7", folder),
			"not a regular file":       f.schedule("* * * * *", fleettest.Echo, "7", func(s *config.Schedule) { s.Task.ScriptPath = "/dev/null" }),
			"no such user":             f.schedule("* * * * *", fleettest.Echo, "7", func(s *config.Schedule) { s.Owner = "nobody-at-all" }),
			"access.script_dirs (/srv": elsewhere(f.schedule("* * * * *", fleettest.Echo, "7")),
		} {
			if err := f.Reload(c); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("reload: %v, want %q", err, what)
			}
			if err := daemon.Check(c); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("check: %v, want %q", err, what)
			}
			if _, err := daemon.New(daemon.Options{Config: c, Launcher: f.Launcher}); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("start: %v, want %q", err, what)
			}
		}
		f.until("00:01:00")
		f.ran(1, "by the configuration of before")
	})
}

func TestAnUnknownZoneOfTheDaemonsOwnIsRefused(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("@daily", fleettest.Echo, "7", func(s *config.Schedule) { s.TimeZone = "Local" })
		for tz, known := range map[string]bool{"": true, "UTC": true, "Europe/Berlin": true, ":Europe/Berlin": true, "Nowhere/At_All": false,
			"/nowhere/at-all": false, "/dev/null": false} {
			t.Setenv("TZ", tz)
			if err := daemon.Check(c); known != (err == nil) || err != nil && !strings.Contains(err.Error(), tz) {
				t.Errorf("TZ=%s: %v", tz, err)
			}
		}
	})
}

func elsewhere(c *config.Config) *config.Config {
	c.Access.ScriptDirs = []string{"/srv"}
	return c
}

func TestARunThatIsNotAcceptedShows(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("* * * * *", fleettest.Echo, "7")
		f.reload(c)
		f.until("00:01:00")
		script := c.Schedules[0].Task.ScriptPath
		if err := os.Remove(script); err != nil {
			t.Fatal(err)
		}
		f.until("00:02:00")
		s := f.status()
		if s.RefusedAt == nil || s.RefusedAt.Minute() != 2 || !strings.Contains(s.RefusedReason, "does not exist") {
			t.Errorf("%+v", s)
		}
		f.ran(1, "without its script")
		f.last("00:01")
		if s.LastTask == nil || *s.LastTask != f.mine()[0].ID {
			t.Errorf("%+v", s)
		}
		if err := os.WriteFile(script, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f.restart(c, time.Second)
		f.until("00:03:00")
		f.ran(2, "with the script again")
		if s := f.status(); s.RefusedAt == nil || s.RefusedAt.Minute() != 2 || s.Last.Minute() != 3 {
			t.Errorf("after a restart: %+v", s)
		}
	})
}

func TestTheLastTaskIsNotNamedOnceItIsForgotten(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("0 * * * *", fleettest.Echo, "7")
		c.Results.TTL = time.Minute
		f.restart(c, time.Second)
		f.until("01:00:30")
		if s := f.status(); s.LastTask == nil {
			t.Errorf("%+v", s)
		}
		f.until("01:02:30")
		if s := f.status(); s.LastTask != nil || s.Last == nil {
			t.Errorf("%+v", s)
		}
	})
}

func TestAScheduleThatComesAgainAtARestartNamesNoTaskOfBefore(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("0 * * * *", fleettest.Echo, "7")
		f.reload(c)
		f.until("01:00:30")
		f.ran(1, "before")
		f.restart(journaled(), time.Minute)
		f.restart(c, time.Minute)
		if s := f.status(); s.LastTask != nil || s.Last != nil {
			t.Errorf("%+v", s)
		}
		f.until("02:00:00")
		f.ran(2, "afterwards")
	})
}

// The script is removed while what was missed is run: each of the times is refused, and
// says so.
func TestWhatWasMissedMayBeRefusedToo(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("0 * * * *", fleettest.Sleeps, `"2m"`, catchUpAll)
		f.restart(c, time.Second)
		f.kill(c, 4*time.Hour+time.Minute)
		f.ran(1, "the first")
		if err := os.Remove(c.Schedules[0].Task.ScriptPath); err != nil {
			t.Fatal(err)
		}
		f.Pass(10 * time.Minute)
		f.ran(1, "without its script")
		if s := f.status(); s.Missed != 0 || s.RefusedAt == nil || s.RefusedAt.UTC().Hour() != 4 || s.Last.UTC().Hour() != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Anybody can work out the ids of a schedule's tasks, and submit others with them before.
func TestAScheduleRunsAlthoughItsIDIsTaken(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("* * * * *", fleettest.Echo, `"`+strings.Repeat("x", 100_000)+`"`)
		f.reload(c)
		s, err := schedule.New(c.Schedules[0].Options)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().UTC().Truncate(time.Minute)
		for i, who := range []access.Identity{stranger, daemontest.Who()} {
			taken := echoes(f.Farm, 1)[0]
			taken.ID = s.TaskID(at.Add(time.Duration(i+1) * time.Minute))
			if _, err, _ := answer(f.Farm, who, taken, nil); err != nil {
				t.Fatal(err)
			}
		}
		f.until("00:03:00")
		f.ran(3, "with two ids taken")
		f.last("00:03")
		if s := f.status(); s.RefusedAt != nil {
			t.Errorf("%+v", s)
		}
		f.kill(c, time.Second)
		f.ran(3, "after a death")
	})
}
