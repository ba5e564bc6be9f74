package fleet_test

import (
	"testing"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestAWorkerThatStandsStillIsFencedAndItsTasksRunElsewhere(t *testing.T) {
	c := daemontest.One(1, 2)
	c.Limits.GILStall, c.Limits.FenceTimeout = 10*time.Second, 30*time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		f.Pass(time.Second)
		ids := f.Many(2, fleettest.Sleeps, daemontest.Params("1m"))
		old.Freeze()
		f.Pass(29*time.Second - time.Millisecond) // a question in 10 s, and it is asked twice, 10 s each
		if f.States("p-0") != "ready" {
			t.Errorf("it is missed too early: %s", f.States("p-0"))
		}
		f.Pass(time.Millisecond)
		if f.States("p-0") != "ready fenced" {
			t.Errorf("it is not missed: %s", f.States("p-0"))
		}
		f.Logged("worker does not answer")
		f.Ends("completed", 2, ids...)
		if !old.Ended() {
			t.Error("it lives on")
		}
		if n := f.Figure("worker_deaths"); n != 0 {
			t.Errorf("%d deaths were counted", n)
		}
	})
}

// What kept the daemon itself from running can make one answer late.
func TestAWorkerThatAnswersTheSecondTimeIsLeftAlone(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Limits.GILStall = 10 * time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		p := f.Ready("p-0")
		f.Pass(9 * time.Second)
		p.Freeze()
		f.Pass(15 * time.Second)
		p.Thaw()
		if f.Pass(time.Minute); f.Ready("p-0") != p {
			t.Errorf("it was replaced: %s", f.Launcher)
		}
	})
}

func TestATaskThatFreezesItsWorkerIsPoison(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Freezes)
		f.Ends("worker_lost", 2, id) // it was alone both times
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
	})
}

func TestALeavingWorkerThatStandsStillIsEndedToo(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		id := f.Submit(fleettest.Sleeps, daemontest.Params("1h"))
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
			t.Fatal(err)
		}
		old.Freeze()
		f.Pass(2 * time.Minute)
		if !old.Ended() {
			t.Errorf("it drains for ever: %s", f.States("p-0"))
		}
		f.Are(task.Running, id)
	})
}

// Each process is asked once in a while, whatever has become of it.
func TestAProcessIsAskedOnceInAWhile(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Pools[0].Spare = 1
	c.Limits.GILStall = 10 * time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		spare := f.Ready("p-spare-0")
		f.Ready("p-0").Die("signal: killed")
		f.Pass(5 * time.Second)
		asked := spare.Asked()
		f.Pass(100 * time.Second)
		if n := spare.Asked() - asked; n < 9 || n > 11 {
			t.Errorf("a spare that has a seat was asked %d times in ten periods", n)
		}
	})
}

// Its neighbour's timeout, which has not begun, does not end the worker before that.
func TestATaskThatFreezesItsWorkerIsFoundBesideOneThatWasSentThere(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		f.Ready("p-0").Pause()
		freezes := f.Submit(fleettest.Freezes)
		waits := f.Submit(fleettest.Echo, daemontest.Within(time.Second), daemontest.Retries(1))
		f.Ready("p-0").GoOn()
		f.Ends("worker_lost", 2, freezes)
		f.Ends("completed", 1, waits)
	})
}
