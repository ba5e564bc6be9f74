package daemon_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestOfManySuspectsTheGuiltyOneIsFoundAlone(t *testing.T) {
	onFarm(t, one(1, 4), func(f *farm) {
		innocent := f.many(3, fleettest.Sleeps, params("10s"))
		poison := f.submit(fleettest.Crashes)
		f.ends("completed", 1, f.submit(fleettest.Echo)) // suspects hold up nobody else
		f.ends("worker_lost", 3, poison)                 // once among others, twice alone
		f.ends("completed", 2, innocent...)
		if n := f.figure("poisoned_tasks"); n != 1 {
			t.Errorf("%d tasks are taken for poison", n)
		}
		f.logged("poison: workers die of this task")
		if r := f.result(poison); !strings.Contains(r.Error.Message, "segmentation fault") {
			t.Errorf("it does not say how the worker ended: %s", r.Error.Message)
		}
		f.ends("completed", 1, f.submit(fleettest.Echo))
		if f.pass(10 * time.Second); len(f.workers("")) != 1 {
			t.Errorf("the workers for suspects stay: %+v", f.workers(""))
		}
	})
}

func TestASuspectThatProvesHarmlessIsOneNoMore(t *testing.T) {
	onFarm(t, one(1, 2), func(f *farm) {
		harmless := f.submit(fleettest.Sleeps, params("1m"))
		f.submit(fleettest.Sleeps, params("1m"))
		f.ready("p-0").Die("signal: killed")
		f.pass(time.Second)
		if f.alone() != 1 {
			t.Errorf("%d workers at once for the suspects of a pool of one", f.alone())
		}
		f.ends("completed", 2, harmless)
		f.logged("p-alone-0")
	})
}

func TestInAPoolOfSingleSlotsEveryTaskIsAloneAnyway(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		f.ends("worker_lost", 2, f.submit(fleettest.Crashes))
		f.ends("completed", 1, f.submit(fleettest.Echo))
		if strings.Contains(f.log.String(), "-alone-") {
			t.Error("a worker was started for a suspect")
		}
	})
}

func TestATaskThatMustNotRunTwiceFailsWithItsWorker(t *testing.T) {
	onFarm(t, one(1, 2), func(f *farm) {
		once := f.submit(fleettest.Sleeps, params("1m"), onceOnly)
		other := f.submit(fleettest.Sleeps, params("1m"))
		f.ready("p-0").Die("signal: killed")
		f.ends("worker_lost", 1, once)
		f.ends("completed", 2, other)
	})
}

// Poison is not tried again, and what must not run twice is not either.
func TestNoRetryFollowsTheLossOfAWorkerThatEndsATask(t *testing.T) {
	onFarm(t, one(1, 1), func(f *farm) {
		f.ends("worker_lost", 2, f.submit(fleettest.Crashes, retries(5)))
		f.ends("worker_lost", 1, f.submit(fleettest.Crashes, retries(5), onceOnly))
	})
}

// Suspects that all run long get more workers, one with each look at the fleet.
func TestSuspectsThatWaitGetMoreWorkers(t *testing.T) {
	onFarm(t, one(1, 12), func(f *farm) {
		long := f.many(12, fleettest.Sleeps, params("1h"))
		f.ready("p-0").Die("signal: killed")
		synctest.Wait()
		if n := f.alone(); n != 1 {
			t.Errorf("%d workers at once for the suspects of a pool of one", n)
		}
		f.pass(5 * time.Second)
		if n := f.alone(); n < 3 || n > 6 {
			t.Errorf("%d workers after five looks", n)
		}
		f.pass(time.Minute)
		if n := f.alone(); n != 9 {
			t.Errorf("%d workers for twelve suspects of a pool of one", n)
		}
		f.ends("completed", 2, long...)
	})
}

// alone counts the ready workers for suspects.
func (f *farm) alone() (n int) {
	for _, w := range f.workers("") {
		if strings.Contains(w.ID, "-alone-") && w.State == "ready" {
			n++
		}
	}
	return n
}

func TestACancelIsNotForgottenWhenTheWorkerDies(t *testing.T) {
	onFarm(t, one(1, 2), func(f *farm) {
		id := f.submit(fleettest.Stubborn)
		if _, err := f.engine.Cancel(who, id); err != nil {
			t.Fatal(err)
		}
		f.ready("p-0").Die("signal: killed")
		f.ends("cancelled", 1, id)
	})
}

func TestAnUnreadTaskOfADeadWorkerIsNoSuspect(t *testing.T) {
	onFarm(t, one(1, 2), func(f *farm) {
		f.ready("p-0").Pause()
		ids := f.many(2, fleettest.Echo)
		f.are(task.Queued, ids...)
		f.ready("p-0").Die("signal: killed")
		f.ends("completed", 2, ids...)
		if f.alone() > 0 || strings.Contains(f.log.String(), "-alone-") {
			t.Errorf("they were suspects:\n%s", f.log)
		}
	})
}
