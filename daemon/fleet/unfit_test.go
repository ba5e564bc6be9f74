package fleet_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// One script leaves a worker that fails every task at once: nobody else's task pays.
func TestAWorkerThatFailsEveryTaskIsReplacedAndNobodyElsePays(t *testing.T) {
	for _, breaker := range []string{fleettest.Spoils, fleettest.SpoilsALittle, fleettest.Spends} {
		for _, threads := range []int{1, 4} {
			daemontest.On(t, daemontest.One(1, threads), func(f *daemontest.Farm) {
				old := f.Ready("p-0")
				f.Ends("completed", 1, f.Submit(breaker))
				f.Ends("completed", 1, f.Many(20, fleettest.Echo)...)
				if f.Pass(time.Second); f.States("p-0") != "ready" || f.Ready("p-0") == old || !old.Ended() {
					t.Errorf("%s, %d threads: its workers are %+v", breaker, threads, f.Workers(""))
				}
				if n := len(f.Launcher.All()); n > 3 { // a spare among them
					t.Errorf("%s, %d threads: %d workers were started", breaker, threads, n)
				}
				f.Logged("worker can't run tasks any more")
				f.Logged("/" + breaker) // who ran before is named
				f.Blameless()
			})
		}
	}
}

// The slot of a broken worker is the idlest there is.
func TestABrokenWorkerDoesNotDrawTheTasksOfABusyPool(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		f.Submit(fleettest.Sleeps, daemontest.Params("1h")) // the other worker
		f.Ends("completed", 1, f.Submit(fleettest.Spoils))
		f.Ends("completed", 1, f.Many(20, fleettest.Echo)...)
		f.Blameless()
	})
}

func TestATaskThatNoExecutorGetsAlongWithEndsSoundWorkersStay(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		for range 5 {
			f.Ends("executor", 3, f.Submit(fleettest.Unanswerable, daemontest.Retries(5)))
			f.Ends("completed", 1, f.Submit(fleettest.Echo))
		}
		f.Ends("executor", 1, f.Submit(fleettest.Unanswerable, daemontest.OnceOnly))
		if old.Ended() {
			t.Errorf("a sound worker was replaced: %s", f.Launcher)
		}
		f.Ends("executor", 0, f.Submit(fleettest.Unrunnable))
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		if n := len(f.Launcher.All()); n > 4 {
			t.Errorf("one task cost %d workers", n)
		}
		f.Blameless()
	})
}

func TestWorkersThatBecomeUnfitAgainAndAgainDegradeTheirPool(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		degraded := func() string { return f.Workers("p-0")[0].Degraded }
		for i := range 3 {
			if degraded() != "" {
				t.Fatalf("after %d: %s", i, degraded())
			}
			f.Ends("completed", 1, f.Submit(fleettest.Spends))
			f.Ends("completed", 1, f.Submit(fleettest.Echo))
		}
		if !strings.Contains(degraded(), "could not run tasks any more") || strings.Contains(degraded(), f.Dir) {
			t.Errorf("it says %q", degraded())
		}
		if health := f.Engine.Status(f.Context()).Components["process_pool"].Health; health != "degraded" {
			t.Errorf("the pool is %s", health)
		}
		f.Pass(time.Hour)
		if degraded() != "" {
			t.Errorf("an hour later it still says %q", degraded())
		}
	})
}

// Neighbours in a worker that has become unfit finish there.
func TestNeighboursFinishInAWorkerThatHasBecomeUnfit(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		neighbours := f.Many(2, fleettest.Sleeps, daemontest.Params("10s"))
		f.Ends("completed", 1, f.Submit(fleettest.Spoils))
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		if f.States("p-0") != "ready fenced" {
			t.Errorf("its workers: %s", f.States("p-0"))
		}
		f.Ends("completed", 1, neighbours...)
		f.Blameless()
	})
}

func TestAProbeThatDoesNotComeBackCostsTheWorker(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		old.HangProbes()
		f.Ends("executor", 0, f.Submit(fleettest.Unrunnable))
		f.Pass(time.Minute)
		if !old.Ended() {
			t.Errorf("it is still there: %s", f.Launcher)
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		f.Blameless()
	})
}

// However long the probe takes: a task is not tried in the same worker's other slots meanwhile.
func TestATaskThatABrokenWorkerFailedWaitsForTheProbe(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		old.HangProbes()
		f.Ends("completed", 1, f.Submit(fleettest.SpoilsALittle))
		failed, stopped := f.Submit(fleettest.Echo), f.Submit(fleettest.Echo)
		f.Pass(time.Second)
		f.Are(task.Running, failed, stopped)
		if err := f.Cancel(stopped); err != nil {
			t.Fatal(err)
		}
		f.Ends("completed", 1, failed)
		f.Ends("cancelled", 0, stopped)
		if !old.Ended() {
			t.Errorf("it is still there: %s", f.Launcher)
		}
		f.Blameless()
	})
}

// What a worker's last tasks are named for is not all that they came with.
func TestParamsOfTasksThatHaveEndedAreNotKept(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Results.TTL = time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		var params weak.Pointer[[1 << 20]byte]
		f.Ends("completed", 1, f.Submit(fleettest.Echo, func(k *task.Task) {
			big := new([1 << 20]byte)
			copy(big[:], bytes.Repeat([]byte("7"), len(big)))
			k.Params, params = big[:], weak.Make(big)
		}))
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		f.Pass(time.Minute)
		runtime.GC()
		if params.Value() != nil {
			t.Error("they are")
		}
	})
}
