package daemon_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/plugins/supervisor"
)

func withSpare(workers int) *config.Config {
	c := one(workers, 1)
	c.Pools[0].Spare = 1
	return c
}

func TestASpareTakesTheSeatOfADeadWorkerAtOnce(t *testing.T) {
	onFarm(t, withSpare(2), func(f *farm) {
		spare, dead := f.ready("p-spare-0"), f.ready("p-1")
		f.launcher.Takes(5 * time.Second)
		dead.Die("signal: killed")
		synctest.Wait()
		if f.ready("p-1") != spare || !slices.Equal(spare.Pinned(), dead.Spec.CPUs) {
			t.Errorf("the seat has %+v, the spare is on %v", f.workers("p-1"), spare.Pinned())
		}
		f.logged("a spare took the seat")
		ids := f.many(2, fleettest.Echo)
		f.ends("completed", 1, ids...)
		f.pass(5 * time.Second)
		if next := f.ready("p-spare-0"); next == spare {
			t.Error("the spare has no successor")
		}
		if n := len(f.launcher.Living()); n != 3 {
			t.Errorf("%d processes live: %s", n, f.launcher)
		}
	})
}

func TestASpareTakesNoTasks(t *testing.T) {
	onFarm(t, withSpare(1), func(f *farm) {
		f.submit(fleettest.Sleeps)
		waits := f.submit(fleettest.Echo)
		f.pass(time.Minute)
		if v := f.view(waits); v.Attempts != 0 {
			t.Errorf("it runs in %+v", v.Worker)
		}
		if w := f.workers("p-spare-0"); len(w) != 1 || w[0].SlotsBusy != 0 {
			t.Errorf("the spare: %+v", w)
		}
	})
}

func TestASpareThatCannotBeMovedIsEnded(t *testing.T) {
	onFarm(t, withSpare(1), func(f *farm) {
		spare := f.ready("p-spare-0")
		spare.RefusePin(errors.New("no such CPU"))
		f.ready("p-0").Die("signal: killed")
		f.pass(time.Second)
		if !spare.Ended() || f.ready("p-0") == spare {
			t.Errorf("it is used: %s", f.launcher)
		}
		f.logged("a spare can't be used")
		f.ready("p-spare-0")
		f.ends("completed", 1, f.submit(fleettest.Echo))
	})
}

func TestASpareThatHasASeatLivesAndDiesThere(t *testing.T) {
	onFarm(t, withSpare(1), func(f *farm) {
		first := f.ready("p-spare-0")
		f.ready("p-0").Die("signal: killed")
		f.pass(time.Minute)
		second := f.ready("p-spare-0")
		task := f.submit(fleettest.Sleeps, params("1m"))
		if w := f.workers("p-0")[0]; w.Restarts != 1 || w.SlotsBusy != 1 {
			t.Errorf("in its seat: %+v", w)
		}
		first.Die("signal: killed")
		f.pass(time.Second)
		if f.ready("p-0") != second {
			t.Errorf("the second spare has not followed the first: %s", f.launcher)
		}
		f.ends("completed", 2, task)
		if n := f.figure("worker_deaths"); n != 2 {
			t.Errorf("%d deaths were counted", n)
		}
	})
}

func TestASpareCanBeRestartedByName(t *testing.T) {
	onFarm(t, withSpare(1), func(f *farm) {
		spare := f.ready("p-spare-0")
		if err := f.engine.RestartWorker(f.Context(), who, "p-spare-0"); err != nil {
			t.Fatal(err)
		}
		if f.ready("p-spare-0") == spare {
			t.Error("it is the same")
		}
		f.pass(time.Second)
		if !spare.Ended() {
			t.Error("its predecessor lives on")
		}
	})
}

// A seat whose workers die one after the other waits, and uses up no spares.
func TestASeatThatHasToWaitTakesNoSpare(t *testing.T) {
	onFarm(t, withSpare(1), func(f *farm) {
		for range 3 {
			f.ready("p-0").Die("signal: killed")
			f.pass(200 * time.Millisecond)
		}
		spares := 0
		for _, p := range f.launcher.All() {
			if p.Spec.ID == "p-spare-0" {
				spares++
			}
		}
		if spares != 2 {
			t.Errorf("%d spares were started for a seat that crashes in a loop", spares)
		}
	})
}

func TestAReloadChangesHowManySparesThereAre(t *testing.T) {
	onFarm(t, withSpare(1), func(f *farm) {
		two := withSpare(1)
		two.Pools[0].Spare = 2
		if err := f.reload(two); err != nil {
			t.Fatal(err)
		}
		if f.pass(time.Second); f.ids() != "[p-0 p-spare-0 p-spare-1]" {
			t.Errorf("ready are %s", f.ids())
		}
		if err := f.reload(one(1, 1)); err != nil {
			t.Fatal(err)
		}
		if f.pass(time.Second); f.ids() != "[p-0]" || len(f.launcher.Living()) != 1 {
			t.Errorf("ready are %s: %s", f.ids(), f.launcher)
		}
		f.launcher.Refuse(func(s supervisor.Spec) error { return errors.New("no") })
	})
}
