package daemon_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// Commits that need only be written are answered before those that need a sync. Who asks
// for all tasks waits for either.

func TestAListWaitsForCommitsThatNeedASyncToo(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Journal.Sync = "interval"
	daemontest.Keeping(t, c, func(f *daemontest.Farm) {
		synced, written := newTask(f, fleettest.Echo), newTask(f, fleettest.Echo)
		synced.Extra.Durable = new(true)
		release := f.Engine.HoldCommits()
		f.Engine.Submit(f.Context(), daemontest.Who(), synced, nil, func(task.View, error) {})
		held := make(chan struct{})
		f.Engine.Submit(f.Context(), daemontest.Who(), written, nil, func(task.View, error) { <-held }) // and so those behind it
		release()
		synctest.Wait()
		short, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		// The sync may be as fast as the write was; then nothing is to be waited for.
		if l, err := f.List(short, daemontest.Who(), api.Filter{}, api.Page{}); len(l.Tasks) != 2 && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d tasks: %v", len(l.Tasks), err)
		}
		close(held)
		if l, err := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{}); err != nil || len(l.Tasks) != 2 {
			t.Errorf("%d tasks: %v", len(l.Tasks), err)
		}
	})
}

func TestACancelOfManyIsAnsweredWhenAllOfThemHaveEnded(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		waits := f.Submit(fleettest.Echo, func(k *task.Task) { k.Extra.Delay = task.Duration(time.Hour) })
		runs := f.Submit(fleettest.Blocks)
		f.Are(task.Running, runs)
		if n, err := f.Engine.CancelAll(f.Context(), daemontest.Who(), api.Filter{}); err != nil || n != 2 {
			t.Errorf("%d: %v", n, err)
		}
		f.Are(task.Cancelled, waits)
		synctest.Wait()
		f.Ends("cancelled", 1, runs)
	})
}

// What one write has taken along is answered in several goes, if it is much.
func TestACancelOfManyThatOneWriteTakesAlongIsAnsweredWhenAllOfThemHaveEnded(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		waiting := f.Many(3000, fleettest.Echo, func(k *task.Task) { k.Extra.Delay = task.Duration(time.Hour) })
		release := f.Engine.HoldCommits()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			if n, err := f.Engine.CancelAll(f.Context(), daemontest.Who(), api.Filter{}); err != nil || n != len(waiting) {
				t.Errorf("%d: %v", n, err)
			}
			for _, id := range waiting[len(waiting)-10:] {
				if v, err := f.Engine.View(f.Context(), daemontest.Who(), id); err != nil || v.Status != task.Cancelled {
					t.Errorf("%s is %s: %v", id, v.Status, err)
				}
			}
		}()
		synctest.Wait()
		release()
		<-answered
	})
}
