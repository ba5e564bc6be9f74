package daemon_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

var alice, bob = access.Identity{UID: 1001, GID: 1001}, access.Identity{UID: 1002, GID: 1002}

// few keeps n results for an hour.
func few(n int) *config.Config {
	c := daemontest.One(1, 1)
	c.Results.Max, c.Results.TTL = n, time.Hour
	return c
}

// runFor runs a task of who's to its end.
func runFor(f *daemontest.Farm, who access.Identity, k *task.Task) task.ID {
	f.Helper()
	copied := *k
	v, err, _ := answer(f, who, &copied, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Pass(time.Second)
	return v.ID
}

func TestWhatHadToMakeRoomIsNotRunAgainUntilItsTimeIsOver(t *testing.T) {
	for _, journal := range []bool{false, true} {
		on := daemontest.On
		if journal {
			on = func(t *testing.T, c *config.Config, test func(f *daemontest.Farm)) {
				daemontest.Keeping(t, c, test)
			}
		}
		on(t, few(1), func(f *daemontest.Farm) {
			byID, byKey := newTask(f, fleettest.Echo), newTask(f, fleettest.Echo)
			daemontest.OnceOnly(byID)
			byKey.Extra.IdempotencyKey = "once"
			for _, k := range []*task.Task{byID, byKey} {
				runFor(f, alice, k)
				runFor(f, alice, newTask(f, fleettest.Echo))
			}
			another := *byKey
			another.ID = task.NewID()
			refused := func(when string) {
				t.Helper()
				for name, k := range map[string]*task.Task{"id": byID, "key": &another} {
					_, err, _ := answer(f, alice, k, nil)
					if !errors.Is(err, task.ErrEvicted) || !strings.Contains(err.Error(), "make room") {
						t.Errorf("%s, by its %s: %v", when, name, err)
					}
				}
				fresh := newTask(f, fleettest.Echo)
				b := sendBatch(f, alice, byID, fresh, &another)
				if !errors.Is(b.errs[0], task.ErrEvicted) || b.errs[1] != nil || !errors.Is(b.errs[2], task.ErrEvicted) {
					t.Errorf("%s, in a batch: %v", when, b.errs)
				}
				f.Pass(time.Second)
			}
			refused("at once")
			if journal {
				f.Restart()
				refused("after a restart")
				f.Crash()
				refused("after a crash")
				f.Reboot(time.Minute)
				refused("after a reboot")
			}
			f.Pass(time.Hour)
			for name, k := range map[string]*task.Task{"id": byID, "key": &another} {
				copied := *k
				if _, err, _ := answer(f, alice, &copied, nil); err != nil {
					t.Errorf("after its time, by its %s: %v", name, err)
				}
			}
			f.Pass(time.Second)
		})
	}
}

func TestWhatHadItsTimeIsANewTask(t *testing.T) {
	daemontest.On(t, few(10), func(f *daemontest.Farm) {
		k := newTask(f, fleettest.Echo)
		runFor(f, alice, k)
		f.Pass(time.Hour)
		runFor(f, alice, k)
		f.Ends("completed", 1, k.ID)
	})
}

// An evicted id is as unknown to others as it was before.
func TestAnEvictedIDIsItsOwnersAlone(t *testing.T) {
	daemontest.On(t, few(1), func(f *daemontest.Farm) {
		k := newTask(f, fleettest.Echo)
		runFor(f, alice, k)
		runFor(f, alice, newTask(f, fleettest.Echo))
		for who, want := range map[uint32]error{alice.UID: task.ErrEvicted, 0: task.ErrEvicted, bob.UID: task.ErrNotFound} {
			id := access.Identity{UID: who, GID: who}
			_, err := f.Engine.View(f.Context(), id, k.ID)
			_, result := f.Engine.Result(f.Context(), id, k.ID)
			_, events := f.Events(f.Context(), id, k.ID, task.Cursor{})
			for call, err := range map[string]error{"view": err, "result": result, "events": events} {
				if !errors.Is(err, want) {
					t.Errorf("uid %d, %s: %v", who, call, err)
				}
			}
		}
		runFor(f, bob, k) // as any id
	})
}

func TestAFloodOfResultsLeavesThoseOfOthers(t *testing.T) {
	daemontest.On(t, few(10), func(f *daemontest.Farm) {
		theirs := runFor(f, bob, newTask(f, fleettest.Echo))
		for range 50 {
			k := newTask(f, fleettest.Echo)
			k.Extra.ResultTTL = task.Duration(1000 * time.Hour)
			k.Extra.Durable = new(false)
			runFor(f, alice, k)
		}
		if _, err := f.Engine.View(f.Context(), bob, theirs); err != nil {
			t.Errorf("the result of another: %v", err)
		}
	})
}

func TestATaskThatIsInTooManyBatchesIsRefusedByItsLine(t *testing.T) {
	if most := 256 * ledger.MostFurther; most > config.BatchesBytes { // each takes 215
		t.Errorf("so many batches take %d bytes, and the formula of the most memory has %d", most, config.BatchesBytes)
	}
	daemontest.Keeping(t, few(100), func(f *daemontest.Farm) {
		k := newTask(f, fleettest.Echo)
		first := sendBatch(f, alice, k, newTask(f, fleettest.Echo))
		f.Pass(time.Second)
		var last *sentBatch
		var with *task.Task
		for range ledger.MostFurther {
			with = newTask(f, fleettest.Echo)
			if last = sendBatch(f, alice, k, with); last.errs[0] != nil || last.errs[1] != nil {
				t.Fatal(last.errs)
			}
			f.Pass(time.Second)
		}
		over := sendBatch(f, alice, k, newTask(f, fleettest.Echo))
		if !errors.Is(over.errs[0], task.ErrInvalid) || over.ids[0] != (task.ID{}) || over.errs[1] != nil {
			t.Errorf("one more: %v %v", over.ids, over.errs)
		}
		f.Pass(time.Second)
		if v, err := f.Engine.Batch(alice, over.id); err != nil || v.Total != 1 {
			t.Errorf("%+v %v", v, err)
		}
		if again := sendBatch(f, alice, k, with); again.id != last.id || again.errs[0] != nil {
			t.Errorf("the last one again: %v", again.errs)
		}
		f.Restart()
		if v, err := f.Engine.Batch(alice, first.id); err != nil || v.Total != 2 {
			t.Errorf("after a restart: %+v %v", v, err)
		}
		if v, err := f.Engine.Batch(alice, last.id); err != nil || v.Total != 2 {
			t.Errorf("after a restart: %+v %v", v, err)
		}
	})
}

// The members of a batch are written once, however many of them go one by one.
func TestTheJournalOfABatchGrowsByWhatGoesAndNotByAllThatIsInIt(t *testing.T) {
	const n = 200
	daemontest.Keeping(t, few(1000), func(f *daemontest.Farm) {
		var all []*task.Task
		for i := range n {
			k := newTask(f, fleettest.Echo)
			k.Extra.ResultTTL = task.Duration(time.Hour + time.Duration(i)*time.Second)
			all = append(all, k)
		}
		sendBatch(f, alice, all...)
		f.Pass(time.Minute)
		b := sendBatch(f, alice, append(all, newTask(f, fleettest.Sleeps))...)
		f.Pass(30 * time.Second)
		bytes := func() int64 {
			return f.Engine.Status(f.Context()).Components["journal"].Metrics["bytes"].(int64)
		}
		before := bytes()
		f.Pass(time.Hour + n*time.Second)
		if v, err := f.Engine.Batch(alice, b.id); err == nil {
			t.Errorf("the batch is known: %+v", v)
		}
		if grown := bytes() - before; grown > n*600 {
			t.Errorf("%d evictions took %d bytes", n, grown)
		}
	})
}
