package daemon_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestNeighboursFinishBesideATaskThatDoesNotStop(t *testing.T) {
	onFarm(t, one(1, 4), func(f *farm) {
		old := f.ready("p-0")
		neighbours := f.many(3, fleettest.Sleeps, params("10s"))
		stuck := f.submit(fleettest.Stubborn, within(time.Second))
		f.ends("timed_out", 1, stuck) // after its timeout and the grace
		if f.pass(0); f.states("p-0") != "ready fenced" || f.ready("p-0") == old {
			t.Errorf("its workers: %+v", f.workers(""))
		}
		if w := f.workers("p-0")[1]; !strings.Contains(w.Leaving, "did not stop") || w.SlotsBusy != 3 {
			t.Errorf("the fenced one: %+v", w)
		}
		f.ends("completed", 1, f.submit(fleettest.Echo)) // in the successor
		f.are(task.Running, neighbours...)
		f.ends("completed", 1, neighbours...)
		if !old.Ended() || old.Exit() != "signal: killed" {
			t.Errorf("the fenced worker goes on: %s", f.launcher)
		}
		f.blameless()
	})
}

func TestNeighboursThatTakeTooLongRunAgainWithoutBlame(t *testing.T) {
	c := one(1, 3)
	c.Limits.FenceTimeout = 30 * time.Second
	onFarm(t, c, func(f *farm) {
		old := f.ready("p-0")
		neighbours := f.many(2, fleettest.Sleeps, params("1h"))
		f.ends("timed_out", 1, f.submit(fleettest.Stubborn, within(time.Second)))
		f.pass(30*time.Second - 1)
		if old.Ended() {
			t.Fatal("it was ended too early")
		}
		f.pass(1)
		if !old.Ended() {
			t.Error("it goes on for ever")
		}
		f.are(task.Running, neighbours...) // elsewhere
		f.ends("completed", 2, neighbours...)
		f.blameless()
	})
}

func TestANeighbourThatMustNotRunTwiceHasUntilItsOwnDeadline(t *testing.T) {
	c := one(1, 3)
	c.Limits.FenceTimeout = time.Second
	onFarm(t, c, func(f *farm) {
		old := f.ready("p-0")
		once := f.submit(fleettest.Sleeps, params("1m"), within(2*time.Minute), onceOnly)
		late := f.submit(fleettest.Stubborn, within(90*time.Second), onceOnly)
		f.ends("timed_out", 1, f.submit(fleettest.Stubborn, within(time.Second)))
		f.ends("completed", 1, once)
		if old.Ended() {
			t.Error("another neighbour has until its own deadline")
		}
		f.ends("timed_out", 1, late)
		if f.pass(time.Second); !old.Ended() {
			t.Error("it goes on with no task left")
		}
		f.blameless()
	})
}

func TestTheNextAttemptNeverRunsBesideOneThatDoesNotStop(t *testing.T) {
	onFarm(t, one(1, 2), func(f *farm) {
		old := f.ready("p-0")
		neighbour := f.submit(fleettest.Sleeps, params("10s"))
		stuck := f.submit(fleettest.StubbornOnce, within(time.Second), retries(1))
		f.pass(5 * time.Second)
		if f.are(task.Running, stuck); f.states("p-0") != "ready fenced" {
			t.Errorf("its workers: %s", f.states("p-0"))
		}
		f.ends("completed", 1, neighbour)
		f.ends("completed", 2, stuck)
		if !old.Ended() {
			t.Error("the next attempt ran beside the one before")
		}
		f.blameless()
	})
}

func TestAStuckTaskThatEndsAfterAllHasItsOwnResult(t *testing.T) {
	c := one(1, 2)
	c.Limits.GILStall = 0 // nobody asks whether it is there
	onFarm(t, c, func(f *farm) {
		p := f.ready("p-0")
		f.submit(fleettest.Sleeps, params("1h"))
		stuck := f.submit(fleettest.Sleeps, params("1s"), within(2*time.Second), retries(1))
		f.pass(time.Millisecond)
		p.Freeze()
		f.pass(5 * time.Second) // its grace is over, and it is kept for its next attempt
		p.Thaw()
		f.ends("completed", 1, stuck)
	})
}

func TestACancelledTaskEndsWhereverItIs(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		runs, waits := f.submit(fleettest.Blocks), f.submit(fleettest.Echo)
		cancel := func(id task.ID) {
			if _, err := f.engine.Cancel(who, id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		cancel(waits)
		f.ends("cancelled", 0, waits)
		cancel(runs)
		f.ends("cancelled", 1, runs)
		f.ready("p-0").Pause()
		sent := f.submit(fleettest.Echo)
		f.are(task.Queued, sent)
		cancel(sent) // is recalled unread
		f.ends("cancelled", 1, sent)
		f.ready("p-0").GoOn()
		stubborn := f.submit(fleettest.Stubborn)
		old := f.ready("p-0")
		cancel(stubborn)
		f.pass(2*time.Second - 1)
		f.are(task.Running, stubborn)
		f.pass(1)
		f.ends("cancelled", 1, stubborn)
		if f.pass(time.Second); !old.Ended() || f.ready("p-0") == old {
			t.Errorf("its worker lives on: %s", f.launcher)
		}
		f.blameless()
	})
}

func TestWhatALeavingWorkerHasNotBegunIsTakenBack(t *testing.T) {
	onFarm(t, one(1, 2), func(f *farm) {
		old := f.ready("p-0")
		runs := f.submit(fleettest.Sleeps, params("10s"))
		old.Pause()
		unread := f.submit(fleettest.Echo)
		if err := f.engine.RestartWorker(f.Context(), who, "p-0"); err != nil {
			t.Fatal(err)
		}
		f.ends("completed", 1, unread)
		if w := f.result(unread).Worker; w.PID == old.PID() {
			t.Error("it ran in the worker that leaves")
		}
		f.ends("completed", 1, runs)
		if f.pass(time.Second); !old.Ended() || old.Exit() != "exit status 0" {
			t.Errorf("a sound worker ended with %q", old.Exit())
		}
	})
}
