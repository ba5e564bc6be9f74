package fleet_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/internal/share"
)

// Callers.
const greedy, second, third, fourth = 1001, 1002, 1003, 1004

func withRelief(workers, threads, relief int) *config.Config {
	c := daemontest.One(workers, threads)
	c.Pools[0].Relief = relief
	return c
}

// many submits n tasks of one caller.
func many(f *daemontest.Farm, n int, uid uint32, script string, options ...daemontest.Option) (ids []task.ID) {
	f.Helper()
	for range n {
		ids = append(ids, f.SubmitAs(uid, script, options...))
	}
	return ids
}

// running counts those that run.
func running(f *daemontest.Farm, ids []task.ID) (n int) {
	for _, id := range ids {
		if f.View(id).Status == task.Running {
			n++
		}
	}
	return n
}

// reliefs lists the ready workers for relief.
func reliefs(f *daemontest.Farm) string {
	var all []string
	for _, w := range f.Workers("") {
		if strings.Contains(w.ID, "-relief-") && w.State == "ready" {
			all = append(all, w.ID)
		}
	}
	return strings.Join(all, " ")
}

func TestNobodyWaitsBehindAnothersLongTasks(t *testing.T) {
	daemontest.On(t, withRelief(2, 1, 2), func(f *daemontest.Farm) {
		long := many(f, 9, greedy, fleettest.Sleeps)
		f.Pass(time.Minute)
		if n := running(f, long); n != 2 || reliefs(f) != "" {
			t.Errorf("one caller alone has %d slots, and as relief %q", n, reliefs(f))
		}
		began := time.Now()
		f.Ends("completed", 1, f.SubmitAs(second, fleettest.Echo))
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("another caller waits for %s", took)
		}
		began = time.Now()
		f.Ends("completed", 1, f.SubmitAs(second, fleettest.Echo))
		f.Ends("completed", 1, f.SubmitAs(third, fleettest.Echo))
		if took := time.Since(began); took > 0 {
			t.Errorf("while a worker for relief idles others wait for %s", took)
		}
		if n := running(f, long); n != 2 {
			t.Errorf("who has all has %d slots", n)
		}
		if reliefs(f) != "p-relief-0" || f.Figure("total_workers") != 2 {
			t.Errorf("%d workers, and as relief %q", f.Figure("total_workers"), reliefs(f))
		}
		if f.Pass(62 * time.Second); reliefs(f) != "" || len(f.Launcher.Living()) != 2 {
			t.Errorf("nobody needs %q, and %d processes live", reliefs(f), len(f.Launcher.Living()))
		}
		f.Blameless()
	})
}

// With relief = 2 there are two further callers at a time, however long their tasks take.
func TestReliefIsForSoManyFurtherCallersAtATime(t *testing.T) {
	daemontest.On(t, withRelief(2, 1, 2), func(f *daemontest.Farm) {
		many(f, 9, greedy, fleettest.Sleeps)
		hours := many(f, 5, second, fleettest.Sleeps, daemontest.Params("30m"))
		f.Pass(time.Second)
		if n := running(f, hours); n != 1 {
			t.Errorf("one further caller has %d slots", n)
		}
		f.Ends("completed", 1, many(f, 5, third, fleettest.Echo)...)
		one := f.SubmitAs(third, fleettest.Sleeps, daemontest.Params("10m"))
		f.Pass(time.Second)
		f.Are(task.Running, one)
		waits := f.SubmitAs(fourth, fleettest.Echo)
		f.Pass(9 * time.Minute)
		f.Are(task.Queued, waits)
		if reliefs(f) != "p-relief-0 p-relief-1" {
			t.Errorf("ready are %q", reliefs(f))
		}
		f.Ends("completed", 1, one)
		f.Ends("completed", 1, waits)
	})
}

func TestWithoutReliefOthersWait(t *testing.T) {
	daemontest.On(t, withRelief(1, 1, 0), func(f *daemontest.Farm) {
		f.SubmitAs(greedy, fleettest.Sleeps)
		waits := f.SubmitAs(second, fleettest.Echo)
		f.Pass(59 * time.Minute)
		f.Are(task.Queued, waits)
		f.Ends("completed", 1, waits)
	})
}

// Callers with short tasks take turns, and nobody waits for long.
func TestShortTasksOfManyCallersNeedNoRelief(t *testing.T) {
	daemontest.On(t, withRelief(2, 1, 2), func(f *daemontest.Farm) {
		var all []task.ID
		for range 100 {
			for uid := range uint32(4) {
				all = append(all, f.SubmitAs(greedy+uid, fleettest.Sleeps, daemontest.Params("20ms")))
			}
		}
		f.Ends("completed", 1, all...)
		if strings.Contains(f.Log.String(), "-relief-") {
			t.Errorf("there was relief:\n%s", f.Log)
		}
	})
}

// Of workers with many threads a further caller has up to its part of the slots.
func TestReliefIsForWhoHasLessThanItsPart(t *testing.T) {
	daemontest.On(t, withRelief(1, 12, 2), func(f *daemontest.Farm) {
		all := many(f, 99, greedy, fleettest.Sleeps)
		b := many(f, 99, second, fleettest.Sleeps)
		f.Pass(5 * time.Second)
		if n, m := running(f, all), running(f, b); n != 12 || m != 6 {
			t.Errorf("they have %d and %d slots", n, m)
		}
		c := many(f, 99, third, fleettest.Sleeps)
		f.Pass(5 * time.Second)
		if n := running(f, c); n != 4 {
			t.Errorf("the third has %d slots", n)
		}
		if n, m := running(f, all), running(f, b); n != 12 || m != 6 {
			t.Errorf("they have %d and %d slots by then", n, m)
		}
	})
}

// A task that has been told to have ended runs on, and its slot is its caller's.
func TestASlotIsHeldUntilItsTaskHasStopped(t *testing.T) {
	c := withRelief(1, 2, 1)
	c.Limits.CancelGrace = time.Second
	daemontest.On(t, c, func(f *daemontest.Farm) {
		neighbour := f.SubmitAs(greedy, fleettest.Sleeps, daemontest.OnceOnly, daemontest.Within(2*time.Hour)) // keeps its fenced worker
		f.Ends("timed_out", 1, f.SubmitAs(greedy, fleettest.Stubborn, daemontest.Within(time.Second)))
		more := many(f, 9, greedy, fleettest.Sleeps)
		f.Pass(time.Second)
		f.Are(task.Running, neighbour)
		if n := running(f, more); n != 2 {
			t.Errorf("%d of its own run", n)
		}
		b := many(f, 9, second, fleettest.Sleeps)
		if f.Pass(time.Second); running(f, b) != 1 {
			t.Errorf("the other has %d slots", running(f, b))
		}
	})
}

func TestReliefFollowsTheConfiguration(t *testing.T) {
	daemontest.On(t, withRelief(1, 1, 2), func(f *daemontest.Farm) {
		f.SubmitAs(greedy, fleettest.Sleeps)
		b, c := f.SubmitAs(second, fleettest.Sleeps), f.SubmitAs(third, fleettest.Sleeps)
		f.Pass(time.Second)
		f.Are(task.Running, b, c)
		if err := f.Reload(withRelief(1, 1, 1)); err != nil {
			t.Fatal(err)
		}
		f.Pass(time.Second)
		if reliefs(f) != "p-relief-0" || f.States("p-relief-1") != "draining" {
			t.Errorf("ready are %q, the other is %s", reliefs(f), f.States("p-relief-1"))
		}
		other := withRelief(1, 1, 1)
		other.Pools[0].Nice = 3
		if err := f.Reload(other); err != nil {
			t.Fatal(err)
		}
		f.Are(task.Running, b, c)
		d := f.SubmitAs(fourth, fleettest.Echo)
		f.Ends("completed", 1, d)
		if n := f.Ready("p-0").Spec.Limits.Nice; n != 3 {
			t.Errorf("the new worker's niceness: %d", n)
		}
		f.Ends("completed", 1, b, c)
		if err := f.Reload(withRelief(1, 1, 0)); err != nil {
			t.Fatal(err)
		}
		if f.Pass(time.Minute); f.IDs() != "[p-0]" || len(f.Launcher.Living()) != 1 {
			t.Errorf("ready are %s: %s", f.IDs(), f.Launcher)
		}
	})
}

func TestAWorkerForReliefIsLikeAnyOther(t *testing.T) {
	c := withRelief(1, 1, 1)
	c.Pools[0].MaxTasks = 3
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.SubmitAs(greedy, fleettest.Sleeps)
		long := f.SubmitAs(second, fleettest.Sleeps, daemontest.Params("10m"))
		f.Pass(time.Second)
		f.Ready("p-relief-0").Die("signal: killed")
		f.Ends("completed", 2, long) // the seat is filled again
		first := f.Ready("p-relief-0")
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-relief-0"); err != nil {
			t.Fatal(err)
		}
		next := f.Ready("p-relief-0")
		f.Ends("completed", 1, many(f, 3, third, fleettest.Echo)...)
		if f.Pass(time.Second); next == first || f.Ready("p-relief-0") == next {
			t.Errorf("it is not exchanged: %s", f.Launcher)
		}
		stuck := f.SubmitAs(third, fleettest.Stubborn, daemontest.Within(time.Second))
		f.Ends("timed_out", 1, stuck)
		f.Ends("completed", 1, f.SubmitAs(fourth, fleettest.Echo))
		one := f.SubmitAs(fourth, fleettest.Blocks)
		if err := f.Cancel(one); err != nil {
			t.Error(err)
		}
		f.Ends("cancelled", 1, one)
	})
}

func TestASpareIsReliefAtOnce(t *testing.T) {
	c := withRelief(1, 1, 1)
	c.Pools[0].Spare = 1
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Launcher.Takes(10 * time.Second)
		f.SubmitAs(greedy, fleettest.Sleeps)
		began := time.Now()
		f.Ends("completed", 1, f.SubmitAs(second, fleettest.Echo))
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("it takes %s", took)
		}
	})
}

// A pool that can't start its executor gets no relief on top, and one caller alone none.
func TestACallerThatWaitsBehindNobodyGetsNoRelief(t *testing.T) {
	daemontest.On(t, withRelief(1, 1, 2), func(f *daemontest.Farm) {
		f.Launcher.Takes(time.Minute)
		f.Ready("p-0").Die("signal: killed")
		waits := f.SubmitAs(second, fleettest.Echo)
		f.Ends("completed", 1, waits)
		if strings.Contains(f.Log.String(), "-relief-") {
			t.Errorf("there was relief:\n%s", f.Log)
		}
	})
}

func TestReliefRunsWhereTheFewestWorkersDo(t *testing.T) {
	c := withRelief(1, 1, 2)
	c.Pools[0].Pin = true
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.SubmitAs(greedy, fleettest.Sleeps)
		f.SubmitAs(second, fleettest.Sleeps)
		f.SubmitAs(third, fleettest.Sleeps)
		f.Pass(time.Second)
		cpus := map[string]int{}
		for _, p := range f.Launcher.Living() {
			cpus[fmt.Sprint(p.Spec.CPUs)]++
		}
		counts := []int{}
		for _, n := range cpus {
			counts = append(counts, n)
		}
		if len(f.Launcher.Living()) != 3 || slices.Max(counts)-slices.Min(counts) > 1 && len(counts) < 3 {
			t.Errorf("they run on %v", cpus)
		}
	})
}

func TestADrainedPoolGetsNoRelief(t *testing.T) {
	daemontest.On(t, withRelief(1, 1, 1), func(f *daemontest.Farm) {
		f.SubmitAs(greedy, fleettest.Sleeps)
		waits := f.SubmitAs(second, fleettest.Echo)
		if err := f.Engine.Drain(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		if f.Pass(10 * time.Minute); reliefs(f) != "" {
			t.Errorf("ready are %q", reliefs(f))
		}
		if err := f.Engine.Resume(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		f.Ends("completed", 1, waits)
		synctest.Wait()
	})
}

// docs/workers.md says how many callers it takes until nothing of relief is left.
func TestSoManyCallersItTakesUntilNoReliefIsLeft(t *testing.T) {
	for slots, want := range map[int64]int{1: 1, 2: 2, 4: 3, 16: 4, 32: 5, 64: 5} {
		used, callers := int64(0), 0
		for used < slots {
			callers++
			for own := int64(0); share.Fits(slots, used, own, 1, false); own++ {
				used++
			}
		}
		if callers != want {
			t.Errorf("%d callers have all of %d slots, not %d", callers, slots, want)
		}
	}
}

// Whatever callers submit: who holds no slot and waits does so only because all slots are
// held, those of all relief that there can be included.
func TestWhoHoldsNothingWaitsOnlyWhileAllReliefIsTaken(t *testing.T) {
	rounds := uint64(50)
	if testing.Short() {
		rounds = 8
	}
	for seed := range rounds {
		chance := rand.New(rand.NewPCG(seed, 7))
		workers, threads, relief := 1+chance.IntN(3), 1+chance.IntN(4), chance.IntN(4)
		c := withRelief(workers, threads, relief)
		c.Results.TTL = 1000 * time.Hour
		daemontest.On(t, c, func(f *daemontest.Farm) {
			tasks := map[uint32][]task.ID{}
			for range 60 {
				uid := uint32(chance.IntN(6))
				script := []string{fleettest.Sleeps, fleettest.Sleeps, fleettest.Echo}[chance.IntN(3)]
				tasks[uid] = append(tasks[uid], many(f, 1+chance.IntN(5), uid, script, daemontest.Params(fmt.Sprintf("%dm", chance.IntN(60))))...)
				f.Pass(time.Duration(chance.IntN(100)) * time.Second)
			}
			for range 100 {
				f.Pass(time.Duration(chance.IntN(200)) * time.Second)
				lookWhoWaits(f, tasks, relief*threads, seed)
			}
		})
	}
}

func lookWhoWaits(f *daemontest.Farm, tasks map[uint32][]task.ID, slots int, seed uint64) {
	f.Helper()
	busy, ready := 0, 0
	for _, w := range f.Workers("") {
		if strings.Contains(w.ID, "-relief-") {
			busy += w.SlotsBusy
			ready++
		}
	}
	for uid, ids := range tasks {
		waits := 0
		for _, id := range ids {
			if v, err := f.Engine.View(f.Context(), daemontest.Who(), id); err == nil && v.Status == task.Queued {
				waits++
			}
		}
		if waits > 0 && running(f, ids) == 0 && busy < slots {
			f.Errorf("seed %d: caller %d has %d tasks that wait and none that runs, %d of %d slots for relief are taken: %+v", seed, uid, waits, busy, slots, f.Workers(""))
		}
	}
}

func TestACallerWhoseTasksCostWorkersDoesNotMakeThePoolUnready(t *testing.T) {
	daemontest.On(t, withRelief(1, 1, 2), func(f *daemontest.Farm) {
		many(f, 100, greedy, fleettest.Crashes)
		f.Pass(time.Second)
		f.SubmitAs(second, fleettest.Sleeps)
		f.Pass(time.Second)
		if reliefs(f) == "" {
			t.Fatal("nobody has relief")
		}
		own := func(w api.WorkerStatus) bool { return w.State == "ready" && !strings.Contains(w.ID, "-relief-") }
		without := 0 // how often the pool's own seat has no worker
		for range 100 {
			f.Pass(100 * time.Millisecond)
			if !slices.ContainsFunc(f.Workers(""), own) {
				without++
			}
			if err := f.Engine.Ready(); err != nil {
				t.Fatalf("while others are served: %v", err)
			}
		}
		if without == 0 {
			t.Error("the pool was never without a worker of its own")
		}
	})
}
