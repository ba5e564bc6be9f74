package fleet_test

import (
	"context"
	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestADeadWorkerIsReplacedAtOnceThenMoreAndMoreSlowly(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		var waits []time.Duration
		for range 6 {
			f.Ready("p-0").Die("exit status 1")
			began := time.Now()
			for synctest.Wait(); f.States("p-0") != "ready"; synctest.Wait() {
				time.Sleep(10 * time.Millisecond)
			}
			waits = append(waits, time.Since(began))
		}
		for i, want := range []time.Duration{0, 50, 100, 200, 400, 800} {
			if waits[i] != want*time.Millisecond {
				t.Errorf("replacement %d took %s, not %s ms", i+1, waits[i], want)
			}
		}
		if w := f.Workers("p-0")[0]; !strings.Contains(w.Degraded, "crash loop: exit status 1; its last words: last words") || w.Restarts != 6 {
			t.Errorf("%+v", w)
		}
		if c := f.Engine.Status(f.Context()).Components["process_pool"]; c.Reason == "" {
			t.Error("the pool is well")
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo)) // which proves the worker
		if w := f.Workers("p-0")[0]; w.Degraded != "" {
			t.Errorf("it is still degraded: %s", w.Degraded)
		}
	})
}

func TestASeatThatCannotBeFilledIsTriedAgain(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		waits := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
		f.Launcher.Refuse(func(supervisor.Spec) error { return errors.New("no memory") })
		f.Ready("p-0").Die("signal: killed")
		f.Pass(5 * time.Second)
		if f.States("p-0") != "dead" || f.Engine.Ready() == nil {
			t.Errorf("its workers: %s, ready: %v", f.States("p-0"), f.Engine.Ready())
		}
		f.Logged("worker can't be restarted")
		f.Launcher.Refuse(nil)
		f.Ends("completed", 2, waits)
	})
}

// Whoever asks for a restart of an empty seat knows something new: it is tried at once.
func TestARestartOfAnEmptySeatIsTriedAtOnce(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Launcher.Refuse(func(supervisor.Spec) error { return errors.New("no memory") })
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Minute)
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err == nil {
			t.Error("it was restarted without memory")
		}
		f.Launcher.Refuse(nil)
		began := time.Now()
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil || time.Since(began) != 0 {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		f.Ready("p-0")
	})
}

func TestTasksWaitForALoopUntilOneRefusesThem(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Pools[0].AsyncConcurrency = 2
	daemontest.On(t, c, func(f *daemontest.Farm) {
		for range 2 {
			f.Ends("completed", 1, f.Submit(fleettest.NeedsAThread))
		}
		ids := f.Many(3, fleettest.Sleeps, daemontest.Params("1m")) // two on the loop, one on the thread
		f.Are(task.Running, ids...)
		slots := map[int]bool{}
		for _, id := range ids {
			slots[f.View(id).Worker.Slot] = true
		}
		if len(slots) != 3 {
			t.Errorf("they share slots: %v", slots)
		}
		waits := f.Submit(fleettest.NeedsAThread)
		f.Are(task.Queued, waits)
		f.Ends("completed", 1, append(ids, waits)...)
	})
}

func TestADaemonThatCannotStartAWorkerSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &daemontest.Farm{T: t, Launcher: &fleettest.Launcher{}, Log: &daemontest.Lines{}}
		f.Launcher.Refuse(func(s supervisor.Spec) error {
			if s.ID == "p-0" {
				return nil
			}
			return errors.New("no memory for " + s.ID)
		})
		f.Build(daemontest.One(9, 1))
		err := f.Engine.Start(f.Context())
		if err == nil || strings.Count(err.Error(), "no memory for") != 5 || !strings.Contains(err.Error(), "and 3 more") {
			t.Errorf("started: %v", err)
		}
		if left := f.Launcher.Living(); len(left) > 0 {
			t.Errorf("these live on: %s", f.Launcher)
		}
	})
}

func TestEventsOfATaskReachItsOwnerInOrder(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Chats)
		f.Ends("completed", 1, id)
		events, err := f.Events(f.Context(), daemontest.Who(), id, task.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		kinds := ""
		for ev := range events {
			kinds += string(ev.Kind) + " "
		}
		if kinds != "partial progress log result " {
			t.Errorf("events: %s", kinds)
		}
	})
}

// A seat can be given up while somebody waits for its next worker.
func TestWhoWaitsForASeatThatIsGivenUpIsToldSo(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		f.Launcher.Takes(time.Minute)
		restarted := make(chan error)
		restart := func(worker string) {
			go func() { restarted <- f.Engine.RestartWorker(f.Context(), daemontest.Who(), worker) }()
			synctest.Wait()
		}
		restart("p-1")
		f.Launcher.Takes(10 * time.Second) // the reload is sooner done
		if err := f.Reload(daemontest.One(1, 1)); err != nil {
			t.Fatal(err)
		}
		if err := <-restarted; !errors.Is(err, api.ErrNoWorker) {
			t.Errorf("the seat has gone: %v", err)
		}
		restart("p-0")
		f.Stop()
		if err := <-restarted; !errors.Is(err, api.ErrDraining) {
			t.Errorf("the daemon stops: %v", err)
		}
	})
}

// Who asks for something that takes long can stop waiting.
func TestWhoWaitsForARestartCanStopWaiting(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Launcher.Takes(time.Hour)
		for range 3 { // one is under way, one waits, one finds no room for its order
			ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
			if err := f.Engine.RestartWorker(ctx, daemontest.Who(), "p-0"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after a minute: %v", err)
			}
			cancel()
		}
	})
}

// What a worker has not begun when the daemon stops is not lost by it.
func TestWhatHasNotBegunWhenTheDaemonStopsIsGivenBack(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		f.Ready("p-0").Pause()
		ids := f.Many(2, fleettest.Echo)
		f.Are(task.Queued, ids...)
		f.Stop()
		f.Ends("daemon_stopped", 1, ids...) // there is no journal
	})
}

// The successor gets ready while the worker that it replaces is being ended: each of them
// ends once, for its own seat.
func TestASuccessorThatIsReadyDuringTheStopEndsToo(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		f.Launcher.Refuse(func(supervisor.Spec) error {
			time.Sleep(2 * time.Second) // and does not look at its context
			return nil
		})
		restarted := make(chan error, 1)
		go func() { restarted <- f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0") }()
		f.Pass(time.Second)
		old.Freeze()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		f.StopIn(ctx)
		if err := <-restarted; err == nil {
			t.Error("the restart succeeded, although the engine has stopped")
		}
		if living := f.Launcher.Living(); len(living) > 0 || len(f.Launcher.All()) != 2 {
			t.Errorf("%s", f.Launcher)
		}
	})
}
