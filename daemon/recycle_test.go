package daemon_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/plugins/supervisor"
)

func TestAWorkerIsExchangedAfterSoManyTasks(t *testing.T) {
	c := one(1, 1)
	c.Pools[0].MaxTasks = 10
	onFarm(t, c, func(f *farm) {
		for range 35 {
			f.ends("completed", 1, f.submit(fleettest.Echo))
			f.pass(time.Minute)
		}
		if n := len(f.launcher.All()); n != 4 {
			t.Errorf("35 tasks had %d workers: %s", n, f.launcher)
		}
		f.blameless()
	})
}

func TestAWorkerIsExchangedWhenItIsOldOrLarge(t *testing.T) {
	c := one(1, 1)
	c.Pools[0].MaxAge, c.Pools[0].MaxRSSBytes = time.Hour, 100<<20
	onFarm(t, c, func(f *farm) {
		first := f.ready("p-0")
		f.pass(time.Hour - 2*time.Second)
		if f.ready("p-0") != first {
			t.Error("it was exchanged too early")
		}
		f.pass(3 * time.Second)
		second := f.ready("p-0")
		if second == first || !first.Ended() {
			t.Errorf("an old worker goes on: %s", f.launcher)
		}
		second.Grow(99 << 20)
		if f.pass(10 * time.Second); f.ready("p-0") != second {
			t.Error("it was exchanged though it is small")
		}
		second.Grow(100 << 20)
		if f.pass(2 * time.Second); f.ready("p-0") == second {
			t.Error("a large worker goes on")
		}
		f.logged("MiB of memory resident")
		f.logged("old")
		f.blameless()
	})
}

// The successor is ready before the worker leaves, and in a pool no two are exchanged at
// a time.
func TestNobodyNoticesAnExchange(t *testing.T) {
	c := one(2, 1)
	c.Pools[0].MaxAge = time.Minute
	onFarm(t, c, func(f *farm) {
		f.launcher.Takes(10 * time.Second)
		f.pass(time.Minute - time.Second)
		for range 30 {
			f.pass(time.Second)
			if err := f.engine.Ready(); err != nil {
				t.Error(err)
			}
			if n := len(f.launcher.Living()); n < 2 || n > 3 {
				t.Errorf("%d processes for two seats", n)
			}
			if s := f.states("p-0") + f.states("p-1"); strings.Count(s, "ready") != 2 {
				t.Errorf("the workers are %s", s)
			}
		}
		if n := len(f.launcher.All()); n != 4 {
			t.Errorf("%d processes were started", n)
		}
		f.blameless()
	})
}

func TestAWorkerStaysWhenItsSuccessorCannotBeStarted(t *testing.T) {
	c := one(1, 1)
	c.Pools[0].MaxTasks = 1
	onFarm(t, c, func(f *farm) {
		p, tries := f.ready("p-0"), 0
		f.launcher.Refuse(func(supervisor.Spec) error { tries++; return errors.New("its program has gone") })
		for range 60 {
			f.ends("completed", 1, f.submit(fleettest.Echo))
			f.pass(time.Second)
		}
		if f.ready("p-0") != p || tries != 2 {
			t.Errorf("it was tried %d times in a minute, a pause is half of one: %s", tries, f.launcher)
		}
		f.logged("worker stays: its successor can't be started")
		if err := f.engine.RestartWorker(f.Context(), who, "p-0"); err == nil || !strings.Contains(err.Error(), "its program has gone") {
			t.Errorf("a restart that was asked for: %v", err)
		}
		f.launcher.Refuse(nil)
	})
}

func TestARestartThatIsAskedForWaitsForTheSuccessor(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		old := f.ready("p-0")
		runs := f.submit(fleettest.Sleeps, params("1h"))
		f.launcher.Takes(7 * time.Second)
		began := time.Now()
		if err := f.engine.RestartWorker(f.Context(), who, "p-0"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 7*time.Second || f.ready("p-0") == old {
			t.Errorf("it took %s: %s", took, f.launcher)
		}
		f.ends("completed", 1, runs)
		if err := f.engine.RestartWorker(f.Context(), who, "q-0"); !errors.Is(err, api.ErrNoWorker) {
			t.Errorf("of no worker: %v", err)
		}
	})
}
