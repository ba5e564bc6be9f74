package daemon_test

import (
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func elastic() *config.Config {
	c := one(0, 1)
	c.Pools[0].MinWorkers, c.Pools[0].MaxWorkers, c.Pools[0].IdleTimeout = 1, 3, time.Minute
	return c
}

func TestAPoolGrowsByOneWithEachLookWhileTasksWait(t *testing.T) {
	onFarm(t, elastic(), func(f *farm) {
		f.pass(500 * time.Millisecond) // the looks come at full seconds
		ids := f.many(5, fleettest.Sleeps, params("10m"))
		for second, want := range []int{1, 1, 2, 3, 3, 3} {
			if n := f.figure("total_workers"); n != want {
				t.Errorf("%d workers after %d looks, not %d", n, second, want)
			}
			f.pass(time.Second)
		}
		f.are(task.Running, ids[:3]...)
		f.are(task.Queued, ids[3:]...)
		f.logged("tasks wait")
	})
}

func TestAPoolShrinksWhenItHasHadLittleToDo(t *testing.T) {
	onFarm(t, elastic(), func(f *farm) {
		short := f.many(2, fleettest.Sleeps, params("10s"))
		long := f.submit(fleettest.Sleeps, params("5m"))
		f.ends("completed", 1, short...)
		f.pass(59 * time.Second)
		if n := f.figure("total_workers"); n != 3 {
			t.Errorf("%d workers before the idle timeout", n)
		}
		f.pass(3 * time.Second)
		if n := f.figure("total_workers"); n != 2 {
			t.Errorf("%d workers after one idle timeout", n)
		}
		f.ends("completed", 1, long) // wherever it runs
		f.pass(10 * time.Minute)
		if n := f.figure("total_workers"); n != 1 || len(f.launcher.Living()) != 1 {
			t.Errorf("%d workers in the end: %s", n, f.launcher)
		}
		f.logged("there was little to do")
		f.blameless()
	})
}

func TestAPoolThatDrainsDoesNotGrow(t *testing.T) {
	onFarm(t, elastic(), func(f *farm) {
		f.many(3, fleettest.Sleeps, params("1h"))
		if err := f.engine.Drain(who); err != nil {
			t.Fatal(err)
		}
		f.pass(time.Minute)
		if n := f.figure("total_workers"); n != 1 {
			t.Errorf("%d workers", n)
		}
		if err := f.engine.Resume(who); err != nil {
			t.Fatal(err)
		}
		if f.pass(5 * time.Second); f.figure("total_workers") != 3 {
			t.Errorf("%d workers once it goes on", f.figure("total_workers"))
		}
	})
}
