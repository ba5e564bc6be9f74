package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// brief are the params of a task that sleeps for so short that others may wait behind it.
var brief = daemontest.Params("10us")

// learn has the pool learn that Sleeps is short.
func learn(f *daemontest.Farm) {
	f.Helper()
	for range 20 {
		f.Ends("completed", 1, f.Submit(fleettest.Sleeps, brief))
	}
}

// placed counts those that are in a worker and have not begun.
func placed(f *daemontest.Farm, ids []task.ID) (n int) {
	for _, id := range ids {
		if v := f.View(id); v.Status == task.Queued && v.Worker != nil {
			n++
		}
	}
	return n
}

func TestShortTasksWaitInTheWorkerBehindOthers(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		first := f.Many(5, fleettest.Sleeps, brief)
		if n := placed(f, first); n != 0 {
			t.Errorf("%d tasks of which nothing is known wait behind another", n)
		}
		f.Ends("completed", 1, first...)
		learn(f)
		f.Ready("p-0").Pause()
		ids := f.Many(200, fleettest.Sleeps, brief)
		if n := placed(f, ids); n != 64 {
			t.Errorf("%d of 200 are in the worker", n)
		}
		f.Ready("p-0").GoOn()
		f.Ends("completed", 1, ids...)
		f.Blameless()
	})
}

func TestAWindowIsBoundedInTime(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		const each = 300 * time.Microsecond
		f.Ends("completed", 1, f.Submit(fleettest.Sleeps, daemontest.Params(each.String())))
		f.Ready("p-0").Pause()
		ids := f.Many(10, fleettest.Sleeps, brief)
		if n := placed(f, ids); n != int(config.DefaultWindow/each) {
			t.Errorf("%d are in the worker", n)
		}
	})
}

// What makes a window none.
func TestATaskHasItsSlotForItself(t *testing.T) {
	none := daemontest.One(1, 1)
	none.Pools[0].Window = 0
	for name, x := range map[string]struct {
		config  *config.Config
		claims  bool
		options []daemontest.Option
	}{
		"without a window":                      {none, true, nil},
		"in a worker that shares no claims":     {daemontest.One(1, 1), false, nil},
		"when it must not be run twice":         {daemontest.One(1, 1), true, []daemontest.Option{daemontest.OnceOnly}},
		"when that one is a suspect of its own": {daemontest.One(1, 1), true, []daemontest.Option{daemontest.OnceOnly}},
	} {
		t.Run(name, func(t *testing.T) {
			daemontest.On(t, x.config, func(f *daemontest.Farm) {
				if !x.claims {
					f.Launcher.NoClaims()
					if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
						t.Fatal(err)
					}
				}
				learn(f)
				f.Ready("p-0").Pause()
				first := f.Submit(fleettest.Sleeps, append(x.options, brief)...)
				ids := f.Many(5, fleettest.Sleeps, brief)
				ids = append(ids, f.Submit(fleettest.Sleeps, append(x.options, brief)...))
				if n := placed(f, ids); n != 0 || f.View(first).Worker == nil {
					t.Errorf("%d wait behind it", n)
				}
				f.Ready("p-0").GoOn()
				f.Ends("completed", 1, append(ids, first)...)
			})
		})
	}
}

// No task waits behind a long one while another slot idles.
func TestWhatWaitsBehindATaskThatTurnsOutLongIsTakenBack(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		learn(f)
		long := f.Submit(fleettest.Sleeps, daemontest.Params("1h")) // as short as any, by what is known
		other := f.Submit(fleettest.Sleeps, daemontest.Params("1h"))
		ids := f.Many(30, fleettest.Sleeps, brief)
		if n := placed(f, ids); n == 0 {
			t.Fatal("none waits in a window")
		}
		f.Pass(2 * config.DefaultWindow)
		if n := placed(f, ids); n != 0 {
			t.Errorf("%d still wait behind a long one", n)
		}
		f.Are(task.Running, long, other)
		f.Are(task.Queued, ids...)
		if err := f.Cancel(other); err != nil {
			t.Fatal(err)
		}
		f.Pass(10 * time.Millisecond)
		f.Are(task.Completed, ids...)
		f.Ends("completed", 1, ids...)
		f.Blameless()
	})
}

func TestASlotThatIdlesTakesWhatWaitsBehindAnother(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		const each = 150 * time.Microsecond
		long := daemontest.Params(each.String())
		for range 20 {
			f.Ends("completed", 1, f.Submit(fleettest.Sleeps, long))
		}
		for _, p := range f.Launcher.All() {
			p.Pause()
		}
		ids := f.Many(12, fleettest.Sleeps, long)
		if n := placed(f, ids); n < 10 {
			t.Fatalf("%d of 12 are in the workers", n)
		}
		f.Ready("p-1").GoOn() // the other one begins nothing
		f.Pass(config.DefaultWindow)
		f.Pass(12 * each)
		f.Ready("p-0").GoOn()
		f.Ends("completed", 1, ids...)
		ran := map[string]int{}
		for _, id := range ids {
			ran[f.Result(id).Worker.ID]++
		}
		if ran["p-1"] < 11 {
			t.Errorf("they ran in %v", ran)
		}
	})
}

func TestATaskInAWindowCanBeCancelled(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		learn(f)
		f.Ready("p-0").Freeze() // it would not answer
		ids := f.Many(10, fleettest.Sleeps, brief)
		for _, id := range ids[3:6] {
			if err := f.Cancel(id); err != nil {
				t.Fatal(err)
			}
			f.Are(task.Cancelled, id)
		}
		f.Ready("p-0").Thaw()
		f.Ends("completed", 1, append(ids[:3], ids[6:]...)...)
		f.Blameless()
	})
}

func TestAFencedWorkersWindowGoesElsewhereAtOnce(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		learn(f)
		stuck := f.Submit(fleettest.Stubborn, daemontest.Within(time.Second))
		p := f.Launcher.With(f.View(stuck).Worker.PID)
		f.Pass(time.Second)
		for _, other := range f.Launcher.Living() {
			other.Pause()
		}
		ids := f.Many(5, fleettest.Sleeps, brief)
		synctest.Wait()
		for _, id := range ids {
			if w := f.View(id).Worker; w != nil && w.PID == p.PID() {
				t.Error("it waits behind a task of which nothing is known")
			}
		}
		for _, other := range f.Launcher.Living() {
			other.GoOn()
		}
		f.Ends("completed", 1, ids...)
		f.Ends("timed_out", 1, stuck)
		f.Blameless()
	})
}

// One ran to its end, and its Result had not left; one runs; others had not begun.
func TestADeathIsBlamedOnWhatRanAlone(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		learn(f)
		p := f.Ready("p-0")
		p.HoldResults()
		done := f.Submit(fleettest.Sleeps, brief)
		runs := f.Submit(fleettest.Sleeps, daemontest.Params("1h"))
		f.Pass(100 * time.Microsecond)
		waits := f.Many(3, fleettest.Sleeps, brief)
		p.Die("signal: killed")
		f.Pass(time.Second)
		f.Ends("completed", 2, done) // it ran, and nobody knows how it ended
		for range 2 {                // who ran, scripts can have written: that makes a suspect, and proves nothing
			f.Are(task.Running, runs)
			f.Ready("p-0").Die("signal: killed")
			f.Pass(time.Second)
		}
		f.Ends("worker_lost", 3, runs)
		f.Ends("completed", 1, waits...)
		if n := f.Figure("poisoned_tasks"); n != 1 {
			t.Errorf("%d tasks are taken for poison", n)
		}
	})
}

func TestWhatIsHeldInTheWorkerComesInOrder(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		learn(f)
		p := f.Ready("p-0")
		p.HoldResults()
		ids := f.Many(10, fleettest.Sleeps, brief)
		f.Pass(time.Millisecond / 2)
		f.Are(task.Queued, ids...) // nothing is known of them
		p.TellResults()
		f.Ends("completed", 1, ids...)
	})
}

// A flood fills the window; one that goes before the rest of it, by its caller's turn or by its
// priority, waits for what is in the window and no more.
func TestWhoGoesBeforeAFloodWaitsForOneWindow(t *testing.T) {
	for name, submit := range map[string]func(f *daemontest.Farm) task.ID{
		"another caller": func(f *daemontest.Farm) task.ID { return f.SubmitAs(second, fleettest.Sleeps, brief) },
		"the same, with a higher priority": func(f *daemontest.Farm) task.ID {
			return f.SubmitAs(greedy, fleettest.Sleeps, brief, func(x *task.Task) { x.Priority = 9 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
				learn(f)
				f.Ready("p-0").Pause()
				flood := many(f, 500, greedy, fleettest.Sleeps, brief)
				first := submit(f)
				f.Ready("p-0").GoOn()
				f.Pass(config.DefaultWindow + 100*time.Microsecond)
				f.Are(task.Completed, first)
				f.Ends("completed", 1, flood...)
			})
		})
	}
}

func TestNothingInAWindowBeginsOnceTheDaemonDrains(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		learn(f)
		f.Ready("p-0").Pause()
		ids := f.Many(20, fleettest.Sleeps, brief)
		if err := f.Engine.Drain(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		f.Ready("p-0").GoOn()
		f.Pass(time.Second)
		f.Are(task.Completed, ids[0]) // which was in its slot
		f.Are(task.Queued, ids[1:]...)
		if err := f.Engine.Resume(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		f.Ends("completed", 1, ids...)
	})
}

func TestTheKeyOfATaskInAWindowIsTaken(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		learn(f)
		for _, p := range f.Launcher.Living() {
			p.Pause()
		}
		keyed := func(x *task.Task) { x.Extra.ConcurrencyKey = "k" }
		f.Many(4, fleettest.Sleeps, brief)
		ids := f.Many(5, fleettest.Sleeps, brief, keyed)
		if n := placed(f, ids); n != 1 {
			t.Errorf("%d of one key are in workers", n)
		}
		for _, p := range f.Launcher.Living() {
			p.GoOn()
		}
		f.Ends("completed", 1, ids...)
	})
}

// Of two slots the one that was given a task later may be the first whose task turns out long.
func TestEachWindowIsEmptiedInItsTime(t *testing.T) {
	c := daemontest.One(2, 1)
	c.Pools[0].Window = time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Ends("completed", 1, f.Submit(fleettest.Sleeps, daemontest.Params("100ms")))
		in := func(params string) (id task.ID, worker string) {
			id = f.Submit(fleettest.Sleeps, daemontest.Params(params))
			return id, f.View(id).Worker.ID
		}
		_, first := in("100ms")
		_, second := in("1h")
		f.Pass(500 * time.Millisecond)
		_, again := in("1h")
		f.Pass(100 * time.Millisecond)
		_, behind := in("1ms")
		id, last := in("1ms")
		if again != first || behind != first || last != second {
			t.Fatal("the tasks are in", first, second, again, behind, last)
		}
		f.Pass(401 * time.Millisecond)
		synctest.Wait()
		if w := f.View(id).Worker; w != nil && w.ID == second {
			t.Error("it waits behind a task that has run for longer than a window")
		}
	})
}

// A script has written into the claims, so that the worker drops what it is sent.
func TestAWorkerThatDropsWhatNobodyTookBackIsReplaced(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		p := f.Ready("p-0")
		p.Pause()
		id := f.Submit(fleettest.Echo)
		synctest.Wait()
		p.Tell(0, plugins.Event{Kind: plugins.EventSkipped, Seq: 1})
		f.Pass(time.Minute)
		f.Ends("completed", 1, id)
		if w := f.View(id).Worker; w.PID == p.PID() || !p.Ended() {
			t.Error("the worker has the next task")
		}
	})
}
