package fleet_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestNeighboursFinishBesideATaskThatDoesNotStop(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		neighbours := f.Many(3, fleettest.Sleeps, daemontest.Params("10s"))
		stuck := f.Submit(fleettest.Stubborn, daemontest.Within(time.Second))
		f.Ends("timed_out", 1, stuck) // after its timeout and the grace
		if f.Pass(0); f.States("p-0") != "ready fenced" || f.Ready("p-0") == old {
			t.Errorf("its workers: %+v", f.Workers(""))
		}
		if w := f.Workers("p-0")[1]; !strings.Contains(w.Leaving, "did not stop") || w.SlotsBusy != 4 {
			t.Errorf("the fenced one: %+v", w)
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo)) // in the successor
		f.Are(task.Running, neighbours...)
		f.Ends("completed", 1, neighbours...)
		if !old.Ended() || old.Exit() != "signal: killed" {
			t.Errorf("the fenced worker goes on: %s", f.Launcher)
		}
		f.Blameless()
	})
}

func TestNeighboursThatTakeTooLongRunAgainWithoutBlame(t *testing.T) {
	c := daemontest.One(1, 3)
	c.Limits.FenceTimeout = 30 * time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		neighbours := f.Many(2, fleettest.Sleeps, daemontest.Params("1h"))
		f.Ends("timed_out", 1, f.Submit(fleettest.Stubborn, daemontest.Within(time.Second)))
		f.Pass(30*time.Second - 1)
		if old.Ended() {
			t.Fatal("it was ended too early")
		}
		f.Pass(1)
		if !old.Ended() {
			t.Error("it goes on for ever")
		}
		f.Are(task.Running, neighbours...) // elsewhere
		f.Ends("completed", 2, neighbours...)
		f.Blameless()
	})
}

func TestANeighbourThatMustNotRunTwiceHasUntilItsOwnDeadline(t *testing.T) {
	c := daemontest.One(1, 3)
	c.Limits.FenceTimeout = time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		once := f.Submit(fleettest.Sleeps, daemontest.Params("1m"), daemontest.Within(2*time.Minute), daemontest.OnceOnly)
		late := f.Submit(fleettest.Stubborn, daemontest.Within(90*time.Second), daemontest.OnceOnly)
		f.Ends("timed_out", 1, f.Submit(fleettest.Stubborn, daemontest.Within(time.Second)))
		f.Ends("completed", 1, once)
		if old.Ended() {
			t.Error("another neighbour has until its own deadline")
		}
		f.Ends("timed_out", 1, late)
		if f.Pass(time.Second); !old.Ended() {
			t.Error("it goes on with no task left")
		}
		f.Blameless()
	})
}

func TestADeadlineStaysWhereItIsWhenTheClockIsSet(t *testing.T) {
	c := daemontest.One(1, 2)
	c.Limits.FenceTimeout = time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		once := f.Submit(fleettest.Sleeps, daemontest.Params("1m"), daemontest.Within(2*time.Minute), daemontest.OnceOnly)
		f.Ends("timed_out", 1, f.Submit(fleettest.Stubborn, daemontest.Within(time.Second)))
		f.SetClock(time.Hour)
		f.Ends("completed", 1, once)
		f.Blameless()
	})
}

func TestTheNextAttemptNeverRunsBesideOneThatDoesNotStop(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		neighbour := f.Submit(fleettest.Sleeps, daemontest.Params("10s"))
		stuck := f.Submit(fleettest.StubbornOnce, daemontest.Within(time.Second), daemontest.Retries(1))
		f.Pass(5 * time.Second)
		if f.Are(task.Running, stuck); f.States("p-0") != "ready fenced" {
			t.Errorf("its workers: %s", f.States("p-0"))
		}
		f.Ends("completed", 1, neighbour)
		f.Ends("completed", 2, stuck)
		if !old.Ended() {
			t.Error("the next attempt ran beside the one before")
		}
		f.Blameless()
	})
}

func TestAStuckTaskThatEndsAfterAllHasItsOwnResult(t *testing.T) {
	c := daemontest.One(1, 2)
	c.Limits.GILStall = 0 // nobody asks whether it is there
	daemontest.On(t, c, func(f *daemontest.Farm) {
		p := f.Ready("p-0")
		f.Submit(fleettest.Sleeps, daemontest.Params("1h"))
		stuck := f.Submit(fleettest.Sleeps, daemontest.Params("1s"), daemontest.Within(2*time.Second), daemontest.Retries(1))
		f.Pass(time.Millisecond)
		p.Freeze()
		f.Pass(5 * time.Second) // its grace is over, and it is kept for its next attempt
		p.Thaw()
		f.Ends("completed", 1, stuck)
	})
}

func TestACancelledTaskEndsWhereverItIs(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		runs, waits := f.Submit(fleettest.Blocks), f.Submit(fleettest.Echo)
		cancel := func(id task.ID) {
			if err := f.Cancel(id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		cancel(waits)
		f.Ends("cancelled", 0, waits)
		cancel(runs)
		f.Ends("cancelled", 1, runs)
		f.Ready("p-0").Pause()
		sent := f.Submit(fleettest.Echo)
		f.Are(task.Queued, sent)
		cancel(sent) // is recalled unread
		f.Ends("cancelled", 0, sent)
		f.Ready("p-0").GoOn()
		stubborn := f.Submit(fleettest.Stubborn)
		old := f.Ready("p-0")
		cancel(stubborn)
		f.Pass(2*time.Second - 1)
		f.Are(task.Running, stubborn)
		f.Pass(1)
		f.Ends("cancelled", 1, stubborn)
		if f.Pass(time.Second); !old.Ended() || f.Ready("p-0") == old {
			t.Errorf("its worker lives on: %s", f.Launcher)
		}
		f.Blameless()
	})
}

// The end of its worker may take a task back before its cancel does.
func TestACancelIsNotForgottenWhenTheWorkerLeaves(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		p := f.Ready("p-0")
		p.Pause()
		id := f.Submit(fleettest.Blocks)
		p.Freeze() // it answers neither yet
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := f.Cancel(id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.Thaw()
		f.Pass(time.Second)
		f.Are(task.Cancelled, id)
	})
}

// A process may be told to end by somebody else, and its end be seen late.
func TestWhatAWorkerSkipsRunsElsewhereAtOnce(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		f.Ready("p-0").Pause()
		f.Ready("p-1").Pause()
		id := f.Submit(fleettest.Echo)
		p := f.Launcher.With(f.View(id).Worker.PID)
		for _, other := range f.Launcher.All() {
			if other != p {
				other.GoOn()
			}
		}
		p.Linger(time.Minute)
		go p.Stop(f.Context())
		f.Pass(time.Second)
		f.Are(task.Completed, id)
		f.Pass(time.Minute)
	})
}

func TestWhatALeavingWorkerHasNotBegunIsTakenBack(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		runs := f.Submit(fleettest.Sleeps, daemontest.Params("10s"))
		old.Pause()
		unread := f.Submit(fleettest.Echo)
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
			t.Fatal(err)
		}
		f.Ends("completed", 1, unread)
		if w := f.Result(unread).Worker; w.PID == old.PID() {
			t.Error("it ran in the worker that leaves")
		}
		f.Ends("completed", 1, runs)
		if f.Pass(time.Second); !old.Ended() || old.Exit() != "exit status 0" {
			t.Errorf("a sound worker ended with %q", old.Exit())
		}
	})
}
