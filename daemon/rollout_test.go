package daemon_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
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
	c := one(3, 2)
	onFarm(t, c, func(f *farm) {
		old := []*fleettest.Process{f.ready("p-0"), f.ready("p-1"), f.ready("p-2")}
		runs := f.many(6, fleettest.Sleeps, params("1m"))
		f.launcher.Takes(time.Second)
		began := time.Now()
		if err := f.reload(changed(c)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second { // the first was proven before
			t.Errorf("three workers were exchanged in %s", took)
		}
		for i, p := range old {
			if now := f.ready(fmt.Sprint("p-", i)); now == p || now.Spec.Limits.Nice != 5 {
				t.Errorf("seat %d has %+v", i, now.Spec)
			}
		}
		f.are(task.Running, runs...)
		f.ends("completed", 1, runs...)
		if f.pass(time.Second); len(f.launcher.Living()) != 3 {
			t.Errorf("old workers stay: %s", f.launcher)
		}
		f.blameless()
	})
}

func TestAReloadThatCannotBeProvenChangesNothing(t *testing.T) {
	c := one(2, 1)
	c.Pools = append(c.Pools, c.Pools[0])
	c.Pools[1].Name = "q"
	onFarm(t, c, func(f *farm) {
		before := f.ids()
		both := changed(c)
		both.Pools[1].Nice = 7
		f.launcher.Refuse(func(s supervisor.Spec) error {
			if s.Pool == "q" {
				return errors.New("not an executor")
			}
			return nil
		})
		err := f.reload(both)
		if !errors.Is(err, api.ErrReload) || !strings.Contains(err.Error(), "not an executor") {
			t.Errorf("the reload: %v", err)
		}
		if f.ids() != before || len(f.launcher.Living()) != 4 || f.engine.Config() != c {
			t.Errorf("ready are %s: %s", f.ids(), f.launcher)
		}
		f.launcher.Refuse(nil)
		if err := f.reload(c); err != nil || f.ids() != before || len(f.launcher.All()) != 5 {
			t.Errorf("a reload without a change: %v: %s", err, f.launcher)
		}
	})
}

func TestAReloadTellsWhenNotEveryWorkerCouldBeExchanged(t *testing.T) {
	c := one(3, 1)
	onFarm(t, c, func(f *farm) {
		starts := 0
		f.launcher.Refuse(func(supervisor.Spec) error {
			if starts++; starts > 2 {
				return errors.New("out of processes")
			}
			return nil
		})
		next := changed(c)
		err := f.reload(next)
		if !errors.Is(err, api.ErrReload) || !strings.Contains(err.Error(), "holds, but not in every worker") || f.engine.Config() != next {
			t.Errorf("the reload: %v", err)
		}
		if f.ids() != "[p-0 p-1 p-2]" || f.ready("p-2").Spec.Limits.Nice != 0 {
			t.Errorf("ready are %s: %s", f.ids(), f.launcher)
		}
		f.launcher.Refuse(nil)
	})
}

func TestPoolsComeAndGoAndTheirTasksEnd(t *testing.T) {
	c := one(1, 2)
	onFarm(t, c, func(f *farm) {
		ids := f.many(4, fleettest.Sleeps, params("1m")) // two run, two wait
		other := one(2, 1)
		other.Pools[0].Name = "q"
		if err := f.reload(other); err != nil {
			t.Fatal(err)
		}
		if f.ids() != "[q-0 q-1 p-0]" {
			t.Errorf("ready are %s", f.ids())
		}
		again := f.submit(fleettest.Echo)
		if r := f.result(again); r.Worker.Pool != "q" {
			t.Errorf("a new task ran in %+v", r.Worker)
		}
		if err := f.reload(one(1, 2)); err != nil { // a new pool with the name of the old one
			t.Fatal(err)
		}
		f.ends("completed", 1, ids...)
		if f.pass(3 * time.Second); f.ids() != "[p-0]" || len(f.launcher.Living()) != 1 {
			t.Errorf("ready are %s: %s", f.ids(), f.launcher)
		}
	})
}

func TestAReloadChangesHowManyWorkersThereAre(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		if err := f.reload(one(3, 1)); err != nil {
			t.Fatal(err)
		}
		if f.ids() != "[p-0 p-1 p-2]" {
			t.Errorf("ready are %s", f.ids())
		}
		ids := f.many(3, fleettest.Sleeps, params("1m"))
		if err := f.reload(one(1, 1)); err != nil {
			t.Fatal(err)
		}
		if n := f.figure("total_workers"); n != 1 {
			t.Errorf("%d workers", n)
		}
		f.ends("completed", 1, ids...)
		if f.pass(time.Second); len(f.launcher.Living()) != 1 {
			t.Errorf("seats that are not needed have workers: %s", f.launcher)
		}
		f.blameless()
	})
}

func TestAReloadIntoTheSameWorkersStartsNone(t *testing.T) {
	c := one(2, 1)
	onFarm(t, c, func(f *farm) {
		next := *c
		next.Limits.CancelGrace = time.Minute
		if err := f.reload(&next); err != nil || len(f.launcher.All()) != 2 {
			t.Errorf("%v: %s", err, f.launcher)
		}
		fixed := *c
		fixed.Socket.Path, fixed.Journal.Interval = "/elsewhere", time.Hour
		if err := f.reload(&fixed); err == nil || !strings.Contains(err.Error(), "socket.path, journal.interval") {
			t.Errorf("what can't change: %v", err)
		}
	})
}
