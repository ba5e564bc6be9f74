package daemon_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"
)

func TestADeadWorkerIsReplacedAtOnceThenMoreAndMoreSlowly(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		var waits []time.Duration
		for range 6 {
			f.ready("p-0").Die("exit status 1")
			began := time.Now()
			for synctest.Wait(); f.states("p-0") != "ready"; synctest.Wait() {
				time.Sleep(time.Millisecond)
			}
			waits = append(waits, time.Since(began))
		}
		for i, want := range []time.Duration{0, 50, 100, 200, 400, 800} {
			if waits[i] != want*time.Millisecond {
				t.Errorf("replacement %d took %s, not %s ms", i+1, waits[i], want)
			}
		}
		if w := f.workers("p-0")[0]; !strings.Contains(w.Degraded, "crash loop: exit status 1; its last words: last words") || w.Restarts != 6 {
			t.Errorf("%+v", w)
		}
		if c := f.engine.Status(f.Context()).Components["process_pool"]; c.Reason == "" {
			t.Error("the pool is well")
		}
		f.ends("completed", 1, f.submit(fleettest.Echo)) // which proves the worker
		if w := f.workers("p-0")[0]; w.Degraded != "" {
			t.Errorf("it is still degraded: %s", w.Degraded)
		}
	})
}

func TestASeatThatCannotBeFilledIsTriedAgain(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		waits := f.submit(fleettest.Sleeps, params("1m"))
		f.launcher.Refuse(func(supervisor.Spec) error { return errors.New("no memory") })
		f.ready("p-0").Die("signal: killed")
		f.pass(5 * time.Second)
		if f.states("p-0") != "dead" || f.engine.Ready() == nil {
			t.Errorf("its workers: %s, ready: %v", f.states("p-0"), f.engine.Ready())
		}
		f.logged("worker can't be restarted")
		f.launcher.Refuse(nil)
		f.ends("completed", 2, waits)
	})
}

// Whoever asks for a restart of an empty seat knows something new: it is tried at once.
func TestARestartOfAnEmptySeatIsTriedAtOnce(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		f.launcher.Refuse(func(supervisor.Spec) error { return errors.New("no memory") })
		f.ready("p-0").Die("signal: killed")
		f.pass(time.Minute)
		if err := f.engine.RestartWorker(f.Context(), who, "p-0"); err == nil {
			t.Error("it was restarted without memory")
		}
		f.launcher.Refuse(nil)
		began := time.Now()
		if err := f.engine.RestartWorker(f.Context(), who, "p-0"); err != nil || time.Since(began) != 0 {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		f.ready("p-0")
	})
}

func TestTasksWaitForALoopUntilOneRefusesThem(t *testing.T) {
	c := one(1, 1)
	c.Pools[0].AsyncConcurrency = 2
	onFarm(t, c, func(f *farm) {
		for range 2 {
			f.ends("completed", 1, f.submit(fleettest.NeedsAThread))
		}
		ids := f.many(3, fleettest.Sleeps, params("1m")) // two on the loop, one on the thread
		f.are(task.Running, ids...)
		slots := map[int]bool{}
		for _, id := range ids {
			slots[f.view(id).Worker.Slot] = true
		}
		if len(slots) != 3 {
			t.Errorf("they share slots: %v", slots)
		}
		waits := f.submit(fleettest.NeedsAThread)
		f.are(task.Queued, waits)
		f.ends("completed", 1, append(ids, waits)...)
	})
}

func TestEventsOfATaskArriveInOrder(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		id := f.submit(fleettest.Chats)
		events, err := f.engine.Events(f.Context(), who, id, task.Cursor{Attempt: -1})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for ev, err := range events {
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, string(ev.Kind))
		}
		if got := strings.Join(kinds, " "); got != "partial progress log result" {
			t.Errorf("events: %s", got)
		}
	})
}

func TestADaemonThatCannotStartAWorkerSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &farm{T: t, launcher: &fleettest.Launcher{}, log: &lines{}}
		f.launcher.Refuse(func(s supervisor.Spec) error {
			if s.ID == "p-0" {
				return nil
			}
			return errors.New("no memory for " + s.ID)
		})
		f.build(one(9, 1))
		err := f.engine.Start(f.Context())
		if err == nil || strings.Count(err.Error(), "no memory for") != 5 || !strings.Contains(err.Error(), "and 3 more") {
			t.Errorf("started: %v", err)
		}
		if left := f.launcher.Living(); len(left) > 0 {
			t.Errorf("these live on: %s", f.launcher)
		}
	})
}

func TestStopLetsRunningTasksEndAndNoOthersBegin(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		runs, waits := f.submit(fleettest.Sleeps, params("1m")), f.submit(fleettest.Echo)
		go f.stopIn(f.Context())
		f.ends("completed", 1, runs)
		f.ends("daemon_stopped", 0, waits)
	})
}

func twoPools() *config.Config {
	c := one(1, 1)
	c.Pools = append(c.Pools, c.Pools[0])
	c.Pools[0].TaskTypes, c.Pools[1].TaskTypes, c.Pools[1].Name = []string{"cpu_bound"}, []string{"io_bound"}, "q"
	return c
}

func TestATaskGoesToThePoolThatServesIt(t *testing.T) {
	onFarm(t, twoPools(), func(f *farm) {
		if r := f.result(f.submit(fleettest.Echo)); r.Worker.Pool != "q" {
			t.Errorf("an I/O-bound task ran in %s", r.Worker.Pool)
		}
		if r := f.result(f.submit(fleettest.Echo, func(k *task.Task) { k.Pool = "p" })); r.Worker.Pool != "p" {
			t.Errorf("a task for p ran in %s", r.Worker.Pool)
		}
		for _, wrong := range []option{func(k *task.Task) { k.Pool = "r" }, func(k *task.Task) { k.Executor = "other" }} {
			k := &task.Task{ID: task.NewID(), ScriptPath: f.dir + "/echo", Function: "main", Type: task.IOBound}
			wrong(k)
			f.engine.Submit(who, k, nil, func(_ task.View, err error) {
				if !errors.Is(err, task.ErrInvalid) {
					t.Errorf("%+v: %v", k, err)
				}
			})
		}
	})
}
