package daemon_test

import (
	"strings"
	"testing"

	"cpulb/daemon"
	"cpulb/daemon/config"
	"cpulb/daemon/fleet/fleettest"
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
		for tz, known := range map[string]bool{"": true, "UTC": true, "Europe/Berlin": true, ":Europe/Berlin": true, "Nowhere/At_All": false} {
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
