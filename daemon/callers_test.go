package daemon_test

import (
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"
)

// asCallers is a pool whose tasks run as their callers, and as these system users.
func asCallers(t *testing.T, users ...string) *config.Config {
	t.Helper()
	if err := supervisor.MayChangeUser(); err != nil {
		t.Skip("tasks can't have another user here:", err)
	}
	c := daemontest.One(1, 1)
	c.Pools[0].Walls = config.Walls{Processes: true, User: config.UserCaller}
	c.Pools[0].Users = users
	return c
}

const (
	root   = 0
	person = 1234
)

func TestWhatWasSubmittedBeforeAReloadRunsAsItsCallerOnlyIfItMayNow(t *testing.T) {
	for name, before := range map[string]func() *config.Config{
		"the pool ran tasks as the daemon": func() *config.Config { return daemontest.One(1, 1) },
		"pool.users named root":            func() *config.Config { return asCallers(t, "0", "1234") },
	} {
		after := asCallers(t)
		t.Run(name, func(t *testing.T) {
			daemontest.On(t, before(), func(f *daemontest.Farm) {
				runs := f.SubmitAs(person, fleettest.Sleeps, daemontest.Params("1m"))
				waits, others := f.SubmitAs(root, fleettest.Echo), f.SubmitAs(person, fleettest.Echo)
				if err := f.Reload(after); err != nil {
					t.Fatal(err)
				}
				f.Ends("completed", 1, runs, others)
				f.Ends("not_allowed", 0, waits)
			})
		})
	}
}

func TestARetryRunsAsItsCallerOnlyIfThatIsStillAllowed(t *testing.T) {
	daemontest.On(t, asCallers(t, "0"), func(f *daemontest.Farm) {
		again := f.SubmitAs(root, fleettest.Fails, daemontest.Retries(2), func(k *task.Task) { k.Extra.RetryBackoff = task.Duration(time.Minute) })
		if err := f.Reload(asCallers(t)); err != nil {
			t.Fatal(err)
		}
		f.Ends("not_allowed", 1, again)
	})
}

func TestWhatTheJournalHasRunsAsItsCallerOnlyIfThatIsStillAllowed(t *testing.T) {
	daemontest.Keeping(t, asCallers(t, "0"), func(f *daemontest.Farm) {
		f.SubmitAs(root, fleettest.Sleeps, daemontest.Params("1h"))
		waits := f.SubmitAs(root, fleettest.Echo)
		after := asCallers(t)
		after.Journal.Sync = "group"
		f.Offer(after)
		f.Crash()
		f.Ends("not_allowed", 0, waits)
	})
}

// A slot holds more than the task that runs.
func TestWhatWaitsInAWorkerIsAskedAgainAfterAReload(t *testing.T) {
	daemontest.On(t, asCallers(t, "0", "1234"), func(f *daemontest.Farm) {
		for range 20 { // so that it is known to be short
			f.Ends("completed", 1, f.SubmitAs(root, fleettest.Sleeps, daemontest.Params("10us")))
		}
		f.SubmitAs(person, fleettest.Sleeps, daemontest.Params("1m"))
		waits := f.SubmitAs(root, fleettest.Sleeps, daemontest.Params("10us"))
		if f.View(waits).Worker == nil {
			t.Error("it does not wait in the worker")
		}
		if err := f.Reload(asCallers(t)); err != nil {
			t.Fatal(err)
		}
		if v := f.View(waits); v.Worker != nil {
			t.Errorf("it still waits in %s", v.Worker.ID)
		}
		f.Ends("not_allowed", 0, waits)
	})
}
