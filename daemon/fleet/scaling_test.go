package fleet_test

import (
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func elastic() *config.Config {
	c := daemontest.One(0, 1)
	c.Pools[0].MinWorkers, c.Pools[0].MaxWorkers, c.Pools[0].IdleTimeout = 1, 3, time.Minute
	return c
}

func TestAPoolGrowsByOneWithEachLookWhileTasksWait(t *testing.T) {
	daemontest.On(t, elastic(), func(f *daemontest.Farm) {
		f.Pass(500 * time.Millisecond) // the looks come at full seconds
		ids := f.Many(5, fleettest.Sleeps, daemontest.Params("10m"))
		for second, want := range []int{1, 1, 2, 3, 3, 3} {
			if n := f.Figure("total_workers"); n != want {
				t.Errorf("%d workers after %d looks, not %d", n, second, want)
			}
			f.Pass(time.Second)
		}
		f.Are(task.Running, ids[:3]...)
		f.Are(task.Queued, ids[3:]...)
		f.Logged("tasks wait")
	})
}

func TestAPoolShrinksWhenItHasHadLittleToDo(t *testing.T) {
	daemontest.On(t, elastic(), func(f *daemontest.Farm) {
		short := f.Many(2, fleettest.Sleeps, daemontest.Params("10s"))
		long := f.Submit(fleettest.Sleeps, daemontest.Params("5m"))
		f.Ends("completed", 1, short...)
		f.Pass(59 * time.Second)
		if n := f.Figure("total_workers"); n != 3 {
			t.Errorf("%d workers before the idle timeout", n)
		}
		f.Pass(3 * time.Second)
		if n := f.Figure("total_workers"); n != 2 {
			t.Errorf("%d workers after one idle timeout", n)
		}
		f.Ends("completed", 1, long) // wherever it runs
		f.Pass(10 * time.Minute)
		if n := f.Figure("total_workers"); n != 1 || len(f.Launcher.Living()) != 1 {
			t.Errorf("%d workers in the end: %s", n, f.Launcher)
		}
		f.Logged("there was little to do")
		f.Blameless()
	})
}

func TestAPoolThatDrainsDoesNotGrow(t *testing.T) {
	daemontest.On(t, elastic(), func(f *daemontest.Farm) {
		f.Many(3, fleettest.Sleeps, daemontest.Params("1h"))
		if err := f.Engine.Drain(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		f.Pass(time.Minute)
		if n := f.Figure("total_workers"); n != 1 {
			t.Errorf("%d workers", n)
		}
		if err := f.Engine.Resume(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		if f.Pass(5 * time.Second); f.Figure("total_workers") != 3 {
			t.Errorf("%d workers once it goes on", f.Figure("total_workers"))
		}
	})
}
