package daemon_test

import (
	"strings"
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

const (
	resultBytes = 100 << 10
	roomBytes   = 1 << 20
)

// cramped is a configuration of so many slots that keeps a megabyte of results.
func cramped(slots int) *config.Config {
	c := daemontest.One(1, slots)
	c.Results.MaxBytes = roomBytes
	return c
}

// waitingBytes is what waits for the disk.
func waitingBytes(f *daemontest.Farm) int64 {
	f.Helper()
	return f.Engine.Status(f.Context()).Components["journal"].Metrics["waiting_bytes"].(int64)
}

// pile has many tasks with a Result of some size end on a disk that is full since they were
// accepted, and returns them.
func pile(f *daemontest.Farm, n int, fill func()) []task.ID {
	f.Helper()
	first := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
	big := f.Many(n, fleettest.Echo, daemontest.Params(strings.Repeat("x", resultBytes)))
	fill()
	f.Pass(10 * time.Minute)
	mustFail(f)
	return append(big, first)
}

// started is how many of these have been.
func started(f *daemontest.Farm, all []task.ID) (n int) {
	for _, id := range all {
		if f.View(id).Attempts > 0 {
			n++
		}
	}
	return n
}

func TestResultsThatWaitForRoomAreBounded(t *testing.T) {
	onSmallDisk(t, cramped(1), func(f *daemontest.Farm, fill, clear func()) {
		all := pile(f, 60, fill)
		volatile := f.Submit(fleettest.Echo, func(k *task.Task) { k.Extra.Durable = new(false) })
		if n := waitingBytes(f); n <= roomBytes || n > roomBytes+2*resultBytes {
			t.Errorf("%d bytes wait", n)
		}
		if n := started(f, all); n > 20 {
			t.Errorf("%d tasks were started", n)
		}
		if c := f.Engine.Status(f.Context()).Components["journal"]; c.Health != "degraded" || !strings.Contains(c.Reason, "no task is started") {
			t.Errorf("%+v", c)
		}
		f.Are(task.Queued, volatile)
		cancelled := all[50]
		if err := f.Cancel(volatile); err != nil {
			t.Fatal(err)
		}
		f.Ends("cancelled", 0, volatile)
		answered := make(chan error, 1) // once its end is written
		f.Engine.Cancel(daemontest.Who(), cancelled, func(_ task.View, err error) { answered <- err })
		clear()
		if err := <-answered; err != nil {
			t.Error(err)
		}
		all = append(all[:50], all[51:]...)
		f.Pass(time.Minute)
		f.AreOver(all)
		for _, id := range all {
			if runs := f.Launcher.Runs.Of(id.String()); len(runs) != 1 {
				t.Errorf("it ran %d times", len(runs))
			}
		}
		if runs := f.Launcher.Runs.Of(cancelled.String()); len(runs) > 0 {
			t.Error("it ran although it was cancelled")
		}
		if n := waitingBytes(f); n != 0 {
			t.Errorf("%d bytes still wait", n)
		}
	})
}

// Nothing of it was on disk, so it runs again; nobody has seen a Result of before.
func TestAfterARestartOnAFullDiskResultsAreBoundedAndAllEnd(t *testing.T) {
	onSmallDisk(t, cramped(1), func(f *daemontest.Farm, fill, clear func()) {
		all := pile(f, 60, fill)
		f.Restart()
		f.Pass(10 * time.Minute)
		if n := waitingBytes(f); n > roomBytes+2*resultBytes {
			t.Errorf("%d bytes wait", n)
		}
		if n := started(f, all); n == len(all) {
			t.Error("all were started")
		}
		clear()
		f.Pass(time.Minute)
		f.AreOver(all)
	})
}

func TestDispatchGoesOnWhenTheBoundIsRaised(t *testing.T) {
	onSmallDisk(t, cramped(1), func(f *daemontest.Farm, fill, clear func()) {
		all := pile(f, 30, fill)
		before := started(f, all)
		c := cramped(1)
		c.Results.MaxBytes *= 2
		c.Journal.Sync = "group"
		if err := f.Reload(c); err != nil {
			t.Fatal(err)
		}
		f.Pass(time.Minute)
		if n := started(f, all); n <= before {
			t.Errorf("%d had been started, now %d", before, n)
		}
		clear()
	})
}
