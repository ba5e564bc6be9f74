package daemon_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func haveWatches(f *daemontest.Farm, uid uint32, want int64) {
	f.Helper()
	synctest.Wait()
	if all, own := f.Engine.Watches(uid); own != want || all < own {
		f.Errorf("uid %d has %d watches of %d, not %d", uid, own, all, want)
	}
}

func TestAWatchIsGivenBackHoweverItEnds(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Queue.MaxTasks, c.Queue.Policy = 3, "block" // one runs, two have their share of the queue, one is in line
	daemontest.On(t, c, func(f *daemontest.Farm) {
		who := stranger
		tasks := make([]*task.Task, 4)
		all := make([]*listener, 4)
		client, leave := context.WithCancel(f.Context())
		for i := range tasks {
			tasks[i], all[i] = newTask(f, fleettest.Sleeps), &listener{verbose: i%2 == 0}
			f.Engine.Submit(client, who, tasks[i], all[i], func(task.View, error) {})
		}
		haveWatches(f, who.UID, 4)
		f.Engine.Submit(client, who, tasks[0], all[0], func(task.View, error) {}) // sent again: it watches already
		haveWatches(f, who.UID, 4)
		leave() // what waits for room is withdrawn
		haveWatches(f, who.UID, 3)
		f.Engine.Unwatch(who, tasks[1].ID, all[1])
		f.Engine.Unwatch(who, tasks[1].ID, all[1]) // once more
		f.Engine.Unwatch(who, task.NewID(), all[1])
		haveWatches(f, who.UID, 2)
		bad := newTask(f, "no such script")
		if _, err, _ := answer(f, who, bad, &listener{}); err == nil {
			t.Error("it was accepted")
		}
		haveWatches(f, who.UID, 2)
		f.Pass(10 * time.Minute)
		haveWatches(f, who.UID, 0)
		if len(all[1].kinds) > 0 || len(all[2].kinds) == 0 {
			t.Errorf("who was taken off heard of %v, who was not of %v", all[1].kinds, all[2].kinds)
		}
		if _, err, _ := answer(f, who, tasks[0], all[0]); err != nil { // it has ended: there is nothing to wait for
			t.Error(err)
		}
		haveWatches(f, who.UID, 0)
	})
}

func TestWhoWaitsForAResultEventsOrABatchWatchesMeanwhile(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		who := stranger
		k, batch := newTask(f, fleettest.Sleeps), task.NewID()
		f.Engine.SubmitBatch(f.Context(), who, batch, []*task.Task{k}, func(task.ID, []task.ID, []error) {})
		synctest.Wait()
		if _, err := f.Engine.Result(gone(f), who, k.ID); !errors.Is(err, context.Canceled) { // who does not wait does not watch
			t.Error(err)
		}
		haveWatches(f, who.UID, 0)
		for range 2 {
			ctx, cancel := context.WithCancel(f.Context())
			go func() { _, _ = f.Engine.Result(ctx, who, k.ID) }()
			go func() {
				events, err := f.Events(ctx, who, k.ID, task.Cursor{})
				for range events {
				}
				_ = err
			}()
			go func() {
				results, _ := f.Engine.BatchResults(ctx, who, batch)
				for range results {
				}
			}()
			haveWatches(f, who.UID, 3)
			cancel()
			haveWatches(f, who.UID, 0)
		}
	})
}

// gone is the context of a client that has.
func gone(f *daemontest.Farm) context.Context {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	return ctx
}

func TestOneCallersWatchesLeaveRoomForThoseOfOthers(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Limits.Watches = 30
	daemontest.On(t, c, func(f *daemontest.Farm) {
		first := newTask(f, fleettest.Sleeps)
		taken := 0
		for {
			k := first
			if taken > 0 {
				k = newTask(f, fleettest.Sleeps)
			}
			_, err, _ := answer(f, stranger, k, &listener{})
			if err != nil {
				if !errors.Is(err, api.ErrTooManyWatches) {
					t.Fatal(err)
				}
				if _, err := f.Engine.View(f.Context(), stranger, k.ID); !errors.Is(err, task.ErrNotFound) {
					t.Errorf("what was refused is there: %v", err)
				}
				break
			}
			taken++
		}
		if taken != 20 {
			t.Errorf("one caller had %d of 30", taken)
		}
		if _, err, _ := answer(f, stranger, newTask(f, fleettest.Sleeps), nil); err != nil { // who does not watch
			t.Error(err)
		}
		for _, wait := range []func() error{
			func() error { _, err, _ := answer(f, stranger, first, &listener{}); return err },
			func() error { _, err := f.Engine.Result(f.Context(), stranger, first.ID); return err },
			func() error { _, err := f.Engine.Events(f.Context(), stranger, first.ID, task.Cursor{}); return err },
		} {
			if err := wait(); !errors.Is(err, api.ErrTooManyWatches) {
				t.Errorf("one more: %v", err)
			}
		}
		for _, who := range []access.Identity{{UID: 4712}, daemontest.Who()} {
			if _, err, _ := answer(f, who, newTask(f, fleettest.Sleeps), &listener{}); err != nil {
				t.Errorf("uid %d: %v", who.UID, err)
			}
		}
	})
}
