package fleet_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestOfManySuspectsTheGuiltyOneIsFoundAlone(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		innocent := f.Many(3, fleettest.Sleeps, daemontest.Params("10s"))
		poison := f.Submit(fleettest.Crashes)
		f.Ends("completed", 1, f.Submit(fleettest.Echo)) // suspects hold up nobody else
		f.Ends("worker_lost", 3, poison)                 // once among others, twice alone
		f.Ends("completed", 2, innocent...)
		if n := f.Figure("poisoned_tasks"); n != 1 {
			t.Errorf("%d tasks are taken for poison", n)
		}
		f.Logged("poison: workers die of this task")
		if r := f.Result(poison); !strings.Contains(r.Error.Message, "segmentation fault") {
			t.Errorf("it does not say how the worker ended: %s", r.Error.Message)
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		if f.Pass(10 * time.Second); len(f.Workers("")) != 1 {
			t.Errorf("the workers for suspects stay: %+v", f.Workers(""))
		}
	})
}

func TestASuspectThatProvesHarmlessIsOneNoMore(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		harmless := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
		f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Second)
		if alone(f) != 1 {
			t.Errorf("%d workers at once for the suspects of a pool of one", alone(f))
		}
		f.Ends("completed", 2, harmless)
		f.Logged("p-alone-0")
	})
}

func TestInAPoolOfSingleSlotsEveryTaskIsAloneAnyway(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Ends("worker_lost", 2, f.Submit(fleettest.Crashes))
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		if strings.Contains(f.Log.String(), "-alone-") {
			t.Error("a worker was started for a suspect")
		}
	})
}

func TestATaskThatMustNotRunTwiceFailsWithItsWorker(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		once := f.Submit(fleettest.Sleeps, daemontest.Params("1m"), daemontest.OnceOnly)
		other := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
		f.Ready("p-0").Die("signal: killed")
		f.Ends("worker_lost", 1, once)
		f.Ends("completed", 2, other)
	})
}

// Poison is not tried again, and what must not run twice is not either.
func TestNoRetryFollowsTheLossOfAWorkerThatEndsATask(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Ends("worker_lost", 2, f.Submit(fleettest.Crashes, daemontest.Retries(5)))
		f.Ends("worker_lost", 1, f.Submit(fleettest.Crashes, daemontest.Retries(5), daemontest.OnceOnly))
	})
}

// Suspects that all run long get more workers, one with each look at the fleet.
func TestSuspectsThatWaitGetMoreWorkers(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 12), func(f *daemontest.Farm) {
		long := f.Many(12, fleettest.Sleeps, daemontest.Params("1h"))
		f.Ready("p-0").Die("signal: killed")
		synctest.Wait()
		if n := alone(f); n != 1 {
			t.Errorf("%d workers at once for the suspects of a pool of one", n)
		}
		f.Pass(5 * time.Second)
		if n := alone(f); n < 3 || n > 6 {
			t.Errorf("%d workers after five looks", n)
		}
		f.Pass(time.Minute)
		if n := alone(f); n != 9 {
			t.Errorf("%d workers for twelve suspects of a pool of one", n)
		}
		f.Ends("completed", 2, long...)
	})
}

// alone counts the ready workers for suspects.
func alone(f *daemontest.Farm) (n int) {
	for _, w := range f.Workers("") {
		if strings.Contains(w.ID, "-alone-") && w.State == "ready" {
			n++
		}
	}
	return n
}

func TestACancelIsNotForgottenWhenTheWorkerDies(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Stubborn)
		if err := f.Cancel(id); err != nil {
			t.Fatal(err)
		}
		f.Ready("p-0").Die("signal: killed")
		f.Ends("cancelled", 1, id)
	})
}

func TestAnUnreadTaskOfADeadWorkerIsNoSuspect(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		f.Ready("p-0").Pause()
		ids := f.Many(2, fleettest.Echo)
		f.Are(task.Queued, ids...)
		f.Ready("p-0").Die("signal: killed")
		f.Ends("completed", 1, ids...)
		if alone(f) > 0 || strings.Contains(f.Log.String(), "-alone-") {
			t.Errorf("they were suspects:\n%s", f.Log)
		}
	})
}

// What a worker's claims say, a script in it can have written.
func TestATaskThatKillsItsWorkersAndHidesItIsFound(t *testing.T) {
	for _, slots := range []int{1, 3} {
		for _, lie := range []string{`"done"`, `"recalled"`, `"open"`, `"another"`} {
			daemontest.On(t, daemontest.One(1, slots), func(f *daemontest.Farm) {
				killer := f.Submit(fleettest.CrashesLying, daemontest.Params(lie))
				f.Pass(time.Minute)
				if r := f.Result(killer); r == nil || r.Error.Code != "worker_lost" {
					t.Errorf("%d slots, %s: it goes on", slots, lie)
				}
				if n := len(f.Launcher.All()); n > 8 {
					t.Errorf("%d slots, %s: %d workers", slots, lie, n)
				}
				f.Ends("completed", 1, f.Submit(fleettest.Echo))
			})
		}
	}
}
