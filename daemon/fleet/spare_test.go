package fleet_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"
)

func withSpare(workers int) *config.Config {
	c := daemontest.One(workers, 1)
	c.Pools[0].Spare = 1
	return c
}

func TestASpareTakesTheSeatOfADeadWorkerAtOnce(t *testing.T) {
	daemontest.On(t, withSpare(2), func(f *daemontest.Farm) {
		spare, dead := f.Ready("p-spare-0"), f.Ready("p-1")
		f.Launcher.Takes(5 * time.Second)
		dead.Die("signal: killed")
		synctest.Wait()
		if f.Ready("p-1") != spare || !slices.Equal(spare.Pinned(), dead.Spec.CPUs) {
			t.Errorf("the seat has %+v, the spare is on %v", f.Workers("p-1"), spare.Pinned())
		}
		f.Logged("a spare took the seat")
		ids := f.Many(2, fleettest.Echo)
		f.Ends("completed", 1, ids...)
		f.Pass(5 * time.Second)
		if next := f.Ready("p-spare-0"); next == spare {
			t.Error("the spare has no successor")
		}
		if n := len(f.Launcher.Living()); n != 3 {
			t.Errorf("%d processes live: %s", n, f.Launcher)
		}
	})
}

func TestASpareTakesNoTasks(t *testing.T) {
	daemontest.On(t, withSpare(1), func(f *daemontest.Farm) {
		f.Submit(fleettest.Sleeps)
		waits := f.Submit(fleettest.Echo)
		f.Pass(time.Minute)
		if v := f.View(waits); v.Attempts != 0 {
			t.Errorf("it runs in %+v", v.Worker)
		}
		if w := f.Workers("p-spare-0"); len(w) != 1 || w[0].SlotsBusy != 0 {
			t.Errorf("the spare: %+v", w)
		}
	})
}

func TestASpareThatCannotBeMovedIsEnded(t *testing.T) {
	daemontest.On(t, withSpare(1), func(f *daemontest.Farm) {
		spare := f.Ready("p-spare-0")
		spare.OnPin(func() error { return errors.New("no such CPU") })
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Second)
		if !spare.Ended() || f.Ready("p-0") == spare {
			t.Errorf("it is used: %s", f.Launcher)
		}
		f.Logged("a spare can't be used")
		f.Ready("p-spare-0")
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
	})
}

func TestASpareThatHasASeatLivesAndDiesThere(t *testing.T) {
	daemontest.On(t, withSpare(1), func(f *daemontest.Farm) {
		first := f.Ready("p-spare-0")
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Minute)
		second := f.Ready("p-spare-0")
		task := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
		if w := f.Workers("p-0")[0]; w.Restarts != 1 || w.SlotsBusy != 1 {
			t.Errorf("in its seat: %+v", w)
		}
		first.Die("signal: killed")
		f.Pass(time.Second)
		if f.Ready("p-0") != second {
			t.Errorf("the second spare has not followed the first: %s", f.Launcher)
		}
		f.Ends("completed", 2, task)
		if n := f.Figure("worker_deaths"); n != 2 {
			t.Errorf("%d deaths were counted", n)
		}
	})
}

func TestASpareThatDiesOnItsWayIsReplacedLikeAnyOther(t *testing.T) {
	daemontest.On(t, withSpare(1), func(f *daemontest.Farm) {
		spare := f.Ready("p-spare-0")
		var waits task.ID
		spare.OnPin(func() error {
			waits = f.Submit(fleettest.Echo, daemontest.OnceOnly)
			spare.Die("signal: killed")
			synctest.Wait()
			return nil
		})
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Second)
		f.Ends("completed", 1, waits)
		if strings.Contains(f.Log.String(), fmt.Sprintf("worker is ready: worker=p-0 pid=%d ", spare.PID())) || strings.Contains(f.Log.String(), "a spare took") {
			t.Errorf("a dead worker is ready:\n%s", f.Log)
		}
		if f.Ready("p-0") == spare || f.Figure("worker_deaths") != 2 {
			t.Errorf("%d deaths were counted: %s", f.Figure("worker_deaths"), f.Launcher)
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
	})
}

// A spare is one worker, which has one watcher and is asked by one goroutine, wherever it is.
func TestASpareOnItsWayIsNotMissed(t *testing.T) {
	c := withSpare(1)
	c.Limits.GILStall = time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		spare := f.Ready("p-spare-0")
		spare.OnPin(func() error { // it stands still for as long as that takes
			spare.Freeze()
			time.Sleep(10 * time.Second)
			spare.Thaw()
			return nil
		})
		f.Ready("p-0").Die("signal: killed")
		f.Pass(11 * time.Second)
		if f.Ready("p-0") != spare {
			t.Errorf("it was given up: %s\n%s", f.Launcher, f.Log)
		}
		spare.Freeze()
		f.Pass(4 * time.Second)
		if f.Ready("p-0") == spare {
			t.Error("nobody asks it in its seat")
		}
	})
}

func TestASpareCanBeRestartedByName(t *testing.T) {
	daemontest.On(t, withSpare(1), func(f *daemontest.Farm) {
		spare := f.Ready("p-spare-0")
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-spare-0"); err != nil {
			t.Fatal(err)
		}
		if f.Ready("p-spare-0") == spare {
			t.Error("it is the same")
		}
		f.Pass(time.Second)
		if !spare.Ended() {
			t.Error("its predecessor lives on")
		}
	})
}

// A seat whose workers die one after the other waits, and uses up no spares.
func TestASeatThatHasToWaitTakesNoSpare(t *testing.T) {
	daemontest.On(t, withSpare(1), func(f *daemontest.Farm) {
		for range 3 {
			f.Ready("p-0").Die("signal: killed")
			f.Pass(200 * time.Millisecond)
		}
		spares := 0
		for _, p := range f.Launcher.All() {
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
	daemontest.On(t, withSpare(1), func(f *daemontest.Farm) {
		two := withSpare(1)
		two.Pools[0].Spare = 2
		if err := f.Reload(two); err != nil {
			t.Fatal(err)
		}
		if f.Pass(time.Second); f.IDs() != "[p-0 p-spare-0 p-spare-1]" {
			t.Errorf("ready are %s", f.IDs())
		}
		if err := f.Reload(daemontest.One(1, 1)); err != nil {
			t.Fatal(err)
		}
		if f.Pass(time.Second); f.IDs() != "[p-0]" || len(f.Launcher.Living()) != 1 {
			t.Errorf("ready are %s: %s", f.IDs(), f.Launcher)
		}
		f.Launcher.Refuse(func(s supervisor.Spec) error {
			t.Errorf("%s is started, whom nobody wants", s.ID)
			return nil
		})
		f.Pass(time.Hour)
	})
}
