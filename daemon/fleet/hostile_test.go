package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// Whatever one caller's tasks do to their workers, another's go on.
func TestWhoCostsWorkersKeepsNobodyWaiting(t *testing.T) {
	flood := []string{fleettest.Crashes, fleettest.Spoils, fleettest.SpoilsALittle, fleettest.Spends, fleettest.Stubborn, fleettest.Freezes, fleettest.Unrunnable}
	for _, script := range flood {
		for _, threads := range []int{1, 4} {
			t.Run(fmt.Sprint(script, threads), func(t *testing.T) {
				c := withRelief(2, threads, 2)
				c.Limits.GILStall = 2 * time.Second
				daemontest.On(t, c, func(f *daemontest.Farm) {
					f.Launcher.Takes(300 * time.Millisecond)
					many(f, 200, greedy, script, daemontest.Within(time.Second))
					most, n, long := time.Duration(0), 0, 0
					for began := time.Now(); time.Since(began) < time.Minute; n++ {
						once := time.Now()
						r := f.Result(f.SubmitAs(second, fleettest.Sleeps, daemontest.Params("20ms")))
						if shared := threads > 1 && script == fleettest.SpoilsALittle; r.Status != task.Completed && !shared {
							t.Errorf("it is %s: %+v", r.Status, r.Error) // shared: the executor fails it ten times
						}
						took := time.Since(once)
						if most = max(most, took); took > 3*time.Second {
							long++
						}
						f.Pass(50 * time.Millisecond)
					}
					// Once in a hundred such minutes the flood has a relieving worker, too.
					if long > 1 || most > 10*time.Second {
						t.Errorf("%d of %d round trips took more than 3s, the longest %s", long, n, most)
					}
					t.Logf("%d round trips, the longest %s; %d deaths, %d unfit, %d processes", n, most, f.Figure("worker_deaths"), f.Figure("unfit_workers"), len(f.Launcher.All()))
				})
			})
		}
	}
}

// Suspects of one caller, that all run long, are in all workers for suspects.
func TestNobodyWaitsBehindAnothersSuspects(t *testing.T) {
	daemontest.On(t, withRelief(1, 12, 1), func(f *daemontest.Farm) {
		many(f, 12, greedy, fleettest.Sleeps)
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Minute)
		if n := alone(f); n != 9 {
			t.Fatalf("%d workers for suspects", n)
		}
		mine := many(f, 2, second, fleettest.Sleeps, daemontest.Params("5m"))
		f.Ready("p-0").Die("signal: killed")
		f.Pass(3 * time.Second)
		if n := running(f, mine); n != 1 || alone(f) != 10 {
			t.Errorf("%d of the other's run, in %d workers for suspects", n, alone(f))
		}
		f.Ends("completed", 2, mine...)
	})
}

// Each worker that is fenced stays for the sake of a task that must not run twice.
func TestFencedWorkersDoNotPileUp(t *testing.T) {
	daemontest.On(t, withRelief(1, 4, 1), func(f *daemontest.Farm) {
		for range 20 {
			f.SubmitAs(greedy, fleettest.Sleeps, daemontest.OnceOnly, daemontest.Within(2*time.Hour))
			f.SubmitAs(greedy, fleettest.Stubborn, daemontest.Within(time.Second))
		}
		f.Pass(10 * time.Minute)
		if n := len(f.Launcher.Living()); n != 4 {
			t.Errorf("%d processes live:\n%s", n, f.Launcher)
		}
		if w := f.Workers("p-0"); w[0].State != "starting" || w[0].Degraded == "" {
			t.Errorf("status does not say so: %+v", w[0])
		}
		began := time.Now()
		f.Ends("completed", 1, f.SubmitAs(second, fleettest.Echo))
		if took := time.Since(began); took > time.Second {
			t.Errorf("another waits for %s", took)
		}
		f.Pass(3 * time.Hour)
		f.Ends("completed", 1, f.SubmitAs(greedy, fleettest.Echo))
	})
}
