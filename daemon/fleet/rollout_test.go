package fleet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"
)

// changed is the configuration with workers of another kind.
func changed(c *config.Config) *config.Config {
	n := *c
	n.Pools = append([]config.Pool(nil), c.Pools...)
	n.Pools[0].Nice = 5
	return &n
}

func TestAReloadExchangesWorkersOneByOneAndTasksGoOn(t *testing.T) {
	c := daemontest.One(3, 2)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		old := []*fleettest.Process{f.Ready("p-0"), f.Ready("p-1"), f.Ready("p-2")}
		runs := f.Many(6, fleettest.Sleeps, daemontest.Params("1m"))
		f.Launcher.Takes(time.Second)
		began := time.Now()
		if err := f.Reload(changed(c)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second { // the first was proven before
			t.Errorf("three workers were exchanged in %s", took)
		}
		for i, p := range old {
			if now := f.Ready(fmt.Sprint("p-", i)); now == p || now.Spec.Limits.Nice != 5 {
				t.Errorf("seat %d has %+v", i, now.Spec)
			}
		}
		f.Are(task.Running, runs...)
		f.Ends("completed", 1, runs...)
		if f.Pass(time.Second); len(f.Launcher.Living()) != 3 {
			t.Errorf("old workers stay: %s", f.Launcher)
		}
		f.Blameless()
	})
}

// A worker that leaves is listed as it runs, not as its successor does.
func TestALeavingWorkerIsListedAsItRuns(t *testing.T) {
	c := daemontest.One(1, 8)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Submit(fleettest.Sleeps)
		if err := f.Reload(daemontest.One(1, 4)); err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, w := range f.Workers("p-0") {
			seen = append(seen, fmt.Sprint(w.State, " with ", w.Slots, ", busy ", w.SlotsBusy))
		}
		if fmt.Sprint(seen) != "[ready with 4, busy 0 draining with 8, busy 1]" {
			t.Errorf("%q", seen)
		}
	})
}

func TestAReloadThatCannotBeProvenChangesNothing(t *testing.T) {
	c := daemontest.One(2, 1)
	c.Pools = append(c.Pools, c.Pools[0])
	c.Pools[1].Name = "q"
	daemontest.On(t, c, func(f *daemontest.Farm) {
		before := f.IDs()
		both := changed(c)
		both.Pools[1].Nice = 7
		f.Launcher.Refuse(func(s supervisor.Spec) error {
			if s.Pool == "q" {
				return errors.New("not an executor")
			}
			return nil
		})
		err := f.Reload(both)
		if !errors.Is(err, api.ErrReload) || !strings.Contains(err.Error(), "not an executor") {
			t.Errorf("the reload: %v", err)
		}
		if f.IDs() != before || len(f.Launcher.Living()) != 4 || f.Engine.Config() != c {
			t.Errorf("ready are %s: %s", f.IDs(), f.Launcher)
		}
		f.Launcher.Refuse(nil)
		if err := f.Reload(c); err != nil || f.IDs() != before || len(f.Launcher.All()) != 5 {
			t.Errorf("a reload without a change: %v: %s", err, f.Launcher)
		}
	})
}

func TestAReloadTellsWhenNotEveryWorkerCouldBeExchanged(t *testing.T) {
	c := daemontest.One(3, 1)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		starts := 0
		f.Launcher.Refuse(func(supervisor.Spec) error {
			if starts++; starts > 2 {
				return errors.New("out of processes")
			}
			return nil
		})
		next := changed(c)
		err := f.Reload(next)
		if !errors.Is(err, api.ErrReload) || !strings.Contains(err.Error(), "holds, but not in every worker") || f.Engine.Config() != next {
			t.Errorf("the reload: %v", err)
		}
		if f.IDs() != "[p-0 p-1 p-2]" || f.Ready("p-2").Spec.Limits.Nice != 0 {
			t.Errorf("ready are %s: %s", f.IDs(), f.Launcher)
		}
		f.Launcher.Refuse(nil)
	})
}

func TestPoolsComeAndGoAndTheirTasksEnd(t *testing.T) {
	c := daemontest.One(1, 2)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		ids := f.Many(4, fleettest.Sleeps, daemontest.Params("1m")) // two run, two wait
		other := daemontest.One(2, 1)
		other.Pools[0].Name = "q"
		if err := f.Reload(other); err != nil {
			t.Fatal(err)
		}
		if f.IDs() != "[q-0 q-1 p-0]" {
			t.Errorf("ready are %s", f.IDs())
		}
		again := f.Submit(fleettest.Echo)
		if r := f.Result(again); r.Worker.Pool != "q" {
			t.Errorf("a new task ran in %+v", r.Worker)
		}
		if err := f.Reload(daemontest.One(1, 2)); err != nil { // a new pool with the name of the old one
			t.Fatal(err)
		}
		f.Ends("completed", 1, ids...)
		if f.Pass(3 * time.Second); f.IDs() != "[p-0]" || len(f.Launcher.Living()) != 1 {
			t.Errorf("ready are %s: %s", f.IDs(), f.Launcher)
		}
	})
}

// A task that did not stop is kept by its slot until the process has ended, and has its
// next attempt in its pool even if that goes meanwhile.
func TestAPoolThatGoesStaysForANextAttempt(t *testing.T) {
	both := daemontest.One(1, 1)
	both.Pools = append(both.Pools, both.Pools[0])
	both.Pools[1].Name = "q"
	daemontest.On(t, both, func(f *daemontest.Farm) {
		old := f.Ready("q-0")
		stuck := f.Submit(fleettest.StubbornOnce, daemontest.Within(time.Second), daemontest.Retries(1), func(k *task.Task) { k.Pool = "q" })
		f.Pass(2900 * time.Millisecond)
		if err := f.Reload(daemontest.One(1, 1)); err != nil {
			t.Fatal(err)
		}
		f.Launcher.Takes(5 * time.Second)
		old.Linger(3 * time.Second) // and is looked at meanwhile
		f.Ends("completed", 2, stuck)
		if r := f.Result(stuck); r.Worker.Pool != "q" {
			t.Errorf("it ran in %+v", r.Worker)
		}
		f.Pass(10 * time.Second)
		if f.IDs() != "[p-0]" || len(f.Launcher.Living()) != 1 {
			t.Errorf("ready are %s: %s", f.IDs(), f.Launcher)
		}
	})
}

func TestAReloadChangesHowManyWorkersThereAre(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		if err := f.Reload(daemontest.One(3, 1)); err != nil {
			t.Fatal(err)
		}
		if f.IDs() != "[p-0 p-1 p-2]" {
			t.Errorf("ready are %s", f.IDs())
		}
		ids := f.Many(3, fleettest.Sleeps, daemontest.Params("1m"))
		if err := f.Reload(daemontest.One(1, 1)); err != nil {
			t.Fatal(err)
		}
		if n := f.Figure("total_workers"); n != 1 {
			t.Errorf("%d workers", n)
		}
		f.Ends("completed", 1, ids...)
		if f.Pass(time.Second); len(f.Launcher.Living()) != 1 {
			t.Errorf("seats that are not needed have workers: %s", f.Launcher)
		}
		f.Blameless()
	})
}

func TestAReloadIntoTheSameWorkersStartsNone(t *testing.T) {
	c := daemontest.One(2, 1)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		next := *c
		next.Limits.CancelGrace = time.Minute
		if err := f.Reload(&next); err != nil || len(f.Launcher.All()) != 2 {
			t.Errorf("%v: %s", err, f.Launcher)
		}
		fixed := *c
		fixed.Socket.Path, fixed.Journal.Interval = "/elsewhere", time.Hour
		if err := f.Reload(&fixed); err == nil || !strings.Contains(err.Error(), "socket.path, journal.interval") {
			t.Errorf("what can't change: %v", err)
		}
	})
}
