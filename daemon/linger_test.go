package daemon_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// brief runs a test on a farm of two slots, which knows that one of its scripts is brief.
func brief(t *testing.T, test func(f *daemontest.Farm)) {
	daemontest.Keeping(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		for range 5 {
			f.Ends("completed", 1, f.Submit(fleettest.Sleeps, daemontest.Params("500us")))
		}
		f.Pass(2 * time.Second) // in which all that nobody waits for is synced
		test(f)
	})
}

// sleep submits a task that sleeps for so long, as far as it is known that it will soon end.
func sleep(f *daemontest.Farm, d string) *reply {
	k := newTask(f, fleettest.Sleeps)
	k.Params = []byte(`"` + d + `"`)
	w := &reply{}
	f.Engine.Submit(f.Context(), daemontest.Who(), k, nil, w.is)
	return w
}

func TestResultsThatFollowEachOtherSoonAreSyncedTogether(t *testing.T) {
	brief(t, func(f *daemontest.Farm) {
		before := f.Engine.Syncs()
		all := []*reply{sleep(f, "500us"), sleep(f, "700us")}
		f.Pass(time.Second)
		for _, r := range all {
			f.Ends("completed", 1, r.view.ID)
		}
		if n := f.Engine.Syncs() - before; n != 2 { // of both acceptances, of both Results
			t.Errorf("%d syncs for two tasks", n)
		}
	})
}

func TestAResultDoesNotWaitForTasksThatTakeLong(t *testing.T) {
	brief(t, func(f *daemontest.Farm) {
		k := newTask(f, fleettest.Blocks)
		send(f.Context(), f, k)
		w := sleep(f, "500us")
		time.Sleep(500 * time.Microsecond)
		synctest.Wait()
		if v, err := f.Engine.View(f.Context(), daemontest.Who(), w.view.ID); err != nil || v.Status != task.Completed {
			t.Errorf("it is %v, %v", v.Status, err)
		}
		if err := f.Cancel(k.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestNobodyWaitsForTheResultOfATaskThatTakesLongAgainstAllThatWasKnown(t *testing.T) {
	brief(t, func(f *daemontest.Farm) {
		long := sleep(f, "1h")
		f.Pass(time.Second)
		k := newTask(f, fleettest.Blocks)
		w := &reply{}
		f.Engine.Submit(f.Context(), daemontest.Who(), k, nil, w.is)
		synctest.Wait()
		if w.answers != 1 || w.err != nil {
			t.Errorf("another has %d answers, %v", w.answers, w.err)
		}
		for _, id := range []task.ID{k.ID, long.view.ID} {
			if err := f.Cancel(id); err != nil {
				t.Error(err)
			}
		}
	})
}
