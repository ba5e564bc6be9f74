package daemon_test

import (
	"testing"
	"time"

	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestAWorkerThatStandsStillIsFencedAndItsTasksRunElsewhere(t *testing.T) {
	c := one(1, 2)
	c.Limits.GILStall, c.Limits.FenceTimeout = 10*time.Second, 30*time.Second
	onFarm(t, c, func(f *farm) {
		old := f.ready("p-0")
		f.pass(time.Second)
		ids := f.many(2, fleettest.Sleeps, params("1m"))
		old.Freeze()
		f.pass(29*time.Second - time.Millisecond) // a question in 10 s, and it is asked twice, 10 s each
		if f.states("p-0") != "ready" {
			t.Errorf("it is missed too early: %s", f.states("p-0"))
		}
		f.pass(time.Millisecond)
		if f.states("p-0") != "ready fenced" {
			t.Errorf("it is not missed: %s", f.states("p-0"))
		}
		f.logged("worker does not answer")
		f.ends("completed", 2, ids...)
		if !old.Ended() {
			t.Error("it lives on")
		}
		if n := f.figure("worker_deaths"); n != 0 {
			t.Errorf("%d deaths were counted", n)
		}
	})
}

// What kept the daemon itself from running can make one answer late.
func TestAWorkerThatAnswersTheSecondTimeIsLeftAlone(t *testing.T) {
	c := one(1, 1)
	c.Limits.GILStall = 10 * time.Second
	onFarm(t, c, func(f *farm) {
		p := f.ready("p-0")
		f.pass(9 * time.Second)
		p.Freeze()
		f.pass(15 * time.Second)
		p.Thaw()
		if f.pass(time.Minute); f.ready("p-0") != p {
			t.Errorf("it was replaced: %s", f.launcher)
		}
	})
}

func TestATaskThatFreezesItsWorkerIsPoison(t *testing.T) {
	onFarm(t, one(1, 2), func(f *farm) {
		id := f.submit(fleettest.Freezes)
		f.ends("worker_lost", 2, id) // it was alone both times
		f.ends("completed", 1, f.submit(fleettest.Echo))
	})
}

func TestALeavingWorkerThatStandsStillIsEndedToo(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		old := f.ready("p-0")
		id := f.submit(fleettest.Sleeps, params("1h"))
		if err := f.engine.RestartWorker(f.Context(), who, "p-0"); err != nil {
			t.Fatal(err)
		}
		old.Freeze()
		f.pass(2 * time.Minute)
		if !old.Ended() {
			t.Errorf("it drains for ever: %s", f.states("p-0"))
		}
		f.are(task.Running, id)
	})
}

// Each process is asked once in a while, whatever has become of it.
func TestAProcessIsAskedOnceInAWhile(t *testing.T) {
	c := one(1, 1)
	c.Pools[0].Spare = 1
	c.Limits.GILStall = 10 * time.Second
	onFarm(t, c, func(f *farm) {
		spare := f.ready("p-spare-0")
		f.ready("p-0").Die("signal: killed")
		f.pass(5 * time.Second)
		asked := spare.Asked()
		f.pass(100 * time.Second)
		if n := spare.Asked() - asked; n < 9 || n > 11 {
			t.Errorf("a spare that has a seat was asked %d times in ten periods", n)
		}
	})
}
