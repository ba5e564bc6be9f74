package fleet_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/plugins/supervisor"
)

func TestAWorkerIsExchangedAfterSoManyTasks(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Pools[0].MaxTasks = 10
	daemontest.On(t, c, func(f *daemontest.Farm) {
		for range 35 {
			f.Ends("completed", 1, f.Submit(fleettest.Echo))
			f.Pass(time.Minute)
		}
		if n := len(f.Launcher.All()); n != 4 {
			t.Errorf("35 tasks had %d workers: %s", n, f.Launcher)
		}
		f.Blameless()
	})
}

func TestAWorkerIsExchangedWhenItIsOldOrLarge(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Pools[0].MaxAge, c.Pools[0].MaxRSSBytes = time.Hour, 100<<20
	daemontest.On(t, c, func(f *daemontest.Farm) {
		first := f.Ready("p-0")
		f.Pass(time.Hour - 2*time.Second)
		if f.Ready("p-0") != first {
			t.Error("it was exchanged too early")
		}
		f.Pass(3 * time.Second)
		second := f.Ready("p-0")
		if second == first || !first.Ended() {
			t.Errorf("an old worker goes on: %s", f.Launcher)
		}
		second.Grow(99 << 20)
		if f.Pass(10 * time.Second); f.Ready("p-0") != second {
			t.Error("it was exchanged though it is small")
		}
		second.Grow(100 << 20)
		if f.Pass(2 * time.Second); f.Ready("p-0") == second {
			t.Error("a large worker goes on")
		}
		f.Logged("MiB of memory resident")
		f.Logged("old")
		f.Blameless()
	})
}

// The successor is ready before the worker leaves, and in a pool no two are exchanged at
// a time.
func TestNobodyNoticesAnExchange(t *testing.T) {
	c := daemontest.One(2, 1)
	c.Pools[0].MaxAge = time.Minute
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Launcher.Takes(10 * time.Second)
		f.Pass(time.Minute - time.Second)
		for range 30 {
			f.Pass(time.Second)
			if err := f.Engine.Ready(); err != nil {
				t.Error(err)
			}
			if n := len(f.Launcher.Living()); n < 2 || n > 3 {
				t.Errorf("%d processes for two seats", n)
			}
			if s := f.States("p-0") + f.States("p-1"); strings.Count(s, "ready") != 2 {
				t.Errorf("the workers are %s", s)
			}
		}
		if n := len(f.Launcher.All()); n != 4 {
			t.Errorf("%d processes were started", n)
		}
		f.Blameless()
	})
}

func TestAWorkerStaysWhenItsSuccessorCannotBeStarted(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Pools[0].MaxTasks = 1
	daemontest.On(t, c, func(f *daemontest.Farm) {
		p, tries := f.Ready("p-0"), 0
		f.Launcher.Refuse(func(supervisor.Spec) error { tries++; return errors.New("its program has gone") })
		for range 60 {
			f.Ends("completed", 1, f.Submit(fleettest.Echo))
			f.Pass(time.Second)
		}
		if f.Ready("p-0") != p || tries != 2 {
			t.Errorf("it was tried %d times in a minute, a pause is half of one: %s", tries, f.Launcher)
		}
		f.Logged("worker stays: its successor can't be started")
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err == nil || !strings.Contains(err.Error(), "its program has gone") {
			t.Errorf("a restart that was asked for: %v", err)
		}
		f.Launcher.Refuse(nil)
	})
}

func TestARestartThatIsAskedForWaitsForTheSuccessor(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		runs := f.Submit(fleettest.Sleeps, daemontest.Params("1h"))
		f.Launcher.Takes(7 * time.Second)
		began := time.Now()
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 7*time.Second || f.Ready("p-0") == old {
			t.Errorf("it took %s: %s", took, f.Launcher)
		}
		f.Ends("completed", 1, runs)
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "q-0"); !errors.Is(err, api.ErrNoWorker) {
			t.Errorf("of no worker: %v", err)
		}
	})
}
