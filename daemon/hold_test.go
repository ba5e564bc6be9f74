package daemon_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func keyed(k *task.Task) { k.Extra.ConcurrencyKey = "k" }

// deaf is a task with the key that has been told to be timed out and runs on, beside a
// neighbour that gives it that time: an hour. Its result is kept for the ttl.
func deaf(f *daemontest.Farm, ttl time.Duration) task.ID {
	f.Helper()
	f.Submit(fleettest.Sleeps)
	id := f.Submit(fleettest.Stubborn, keyed, daemontest.Within(time.Minute), func(k *task.Task) { k.Extra.ResultTTL = task.Duration(ttl) })
	f.Ends("timed_out", 1, id)
	return id
}

// patient is a configuration whose fenced workers have two hours.
func patient() *config.Config {
	c := daemontest.One(1, 3)
	c.Limits.FenceTimeout = 2 * time.Hour
	return c
}

func TestAKeyIsHeldUntilItsTaskHasReallyStopped(t *testing.T) {
	daemontest.On(t, patient(), func(f *daemontest.Farm) {
		deaf(f, time.Minute)
		next := f.Submit(fleettest.Echo, keyed)
		f.Pass(30 * time.Minute) // by then its record is no longer kept
		f.Are(task.Pending, next)
		c := patient()
		c.Queue.KeyLimits = map[string]int{"k": 2}
		if err := f.Reload(c); err != nil {
			t.Fatal(err)
		}
		f.Ends("completed", 1, next) // there is room for one more
		if err := f.Reload(patient()); err != nil {
			t.Fatal(err)
		}
		next = f.Submit(fleettest.Echo, keyed)
		f.Are(task.Pending, next)
		f.Pass(30 * time.Minute) // the neighbour has ended, so the worker has been killed
		f.Are(task.Completed, next)
	})
}

func TestAKeyIsHeldUntilTheProcessHasBeenReaped(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Ready("p-0").Linger(time.Minute)
		id := f.Submit(fleettest.Stubborn, keyed)
		next := f.Submit(fleettest.Echo, keyed)
		if err := f.Cancel(id); err != nil {
			t.Fatal(err)
		}
		f.Ends("cancelled", 1, id)
		f.Pass(time.Minute - time.Second)
		f.Are(task.Pending, next)
		if w := f.Workers("p-0"); len(w) != 2 || w[1].SlotsBusy != 1 {
			t.Errorf("it is not shown where it runs: %+v", w)
		}
		f.Pass(time.Second)
		f.Are(task.Completed, next)
	})
}

func TestOneThatStopsAfterAllLetsGo(t *testing.T) {
	c := patient()
	c.Limits.GILStall = 0
	daemontest.On(t, c, func(f *daemontest.Farm) {
		p := f.Ready("p-0")
		neighbour := f.Submit(fleettest.Sleeps)
		id := f.Submit(fleettest.Sleeps, keyed, daemontest.Params("10s"))
		f.Pass(time.Second)
		p.Freeze()
		if err := f.Cancel(id); err != nil {
			t.Fatal(err)
		}
		f.Ends("cancelled", 1, id)
		next := f.Submit(fleettest.Echo, keyed)
		f.Pass(time.Minute)
		f.Are(task.Pending, next)
		p.Thaw()
		synctest.Wait()
		f.Are(task.Completed, next)
		f.Ends("cancelled", 1, id)
		f.Ends("completed", 1, neighbour)
	})
}

func TestADrainWaitsForWhatDoesNotStop(t *testing.T) {
	daemontest.On(t, patient(), func(f *daemontest.Farm) {
		f.Ready("p-0").Linger(time.Minute)
		deaf(f, time.Hour)
		began := time.Now()
		f.StopIn(f.Context())
		if took := time.Since(began); took < 59*time.Minute {
			t.Errorf("it stopped after %s, while the task ran on", took)
		}
	})
}

func TestAPoolThatGoesWaitsForWhatDoesNotStop(t *testing.T) {
	c := patient()
	c.Pools = append(c.Pools, c.Pools[0])
	c.Pools[1].Name = "q"
	daemontest.On(t, c, func(f *daemontest.Farm) {
		deaf(f, time.Hour)
		next := f.Submit(fleettest.Echo, keyed, func(k *task.Task) { k.Pool = "q" })
		without := patient()
		without.Pools = c.Pools[1:]
		if err := f.Reload(without); err != nil {
			t.Fatal(err)
		}
		f.Pass(30 * time.Minute)
		f.Are(task.Pending, next)
		if n := len(f.Workers("p-0")); n == 0 {
			t.Error("its worker is no longer shown")
		}
		f.Pass(31 * time.Minute)
		f.Are(task.Completed, next)
		if n := len(f.Workers("p-0")); n != 0 {
			t.Errorf("%d workers of the pool are left", n)
		}
	})
}

// Its caller has its Result, and nothing is told after that.
func TestNothingIsToldOfATaskAfterItsResult(t *testing.T) {
	daemontest.On(t, patient(), func(f *daemontest.Farm) {
		id := deaf(f, time.Hour)
		events, err := f.Events(f.Context(), daemontest.Who(), id, task.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ev, err := range events {
			if n++; err != nil || ev.Kind != task.EventResult {
				t.Errorf("%+v: %v", ev, err)
			}
		}
		if err := f.Cancel(id); err != nil || n != 1 {
			t.Errorf("%d events, and a cancel: %v", n, err)
		}
		f.Ends("timed_out", 1, id)
	})
}
