package daemon_test

import (
	"testing"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestATimePassesWhileTheTaskBeforeRuns(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("* * * * *", fleettest.Blocks, "7")
		f.reload(c)
		f.until("00:02:30")
		f.ran(1, "as it runs")
		f.reload(c)
		f.until("00:04:30")
		f.ran(1, "after a reload")
		f.restart(c, time.Second)
		f.until("00:06:30")
		f.ran(1, "after a restart")
		if s := f.status(); s.Skipped != 5 || s.LastTask == nil {
			t.Errorf("%+v", s)
		}
		f.last("00:01")
		if err := f.Cancel(f.mine()[0].ID); err != nil {
			t.Fatal(err)
		}
		f.until("00:07:00")
		f.ran(2, "once it has ended")
	})
}

// Its Result is there, but the script does not stop and its worker lives on for the sake
// of a neighbour.
func TestATimePassesWhileAnAttemptStillRuns(t *testing.T) {
	keeping(t, func(f *timetable) {
		f.reload(f.schedule("* * * * *", fleettest.Stubborn, "7"))
		f.Submit(fleettest.Sleeps)
		f.until("00:01:50")
		first := f.mine()[0].ID
		if err := f.Cancel(first); err != nil {
			t.Fatal(err)
		}
		f.until("00:02:00")
		f.Are(task.Cancelled, first)
		f.ran(1, "while it still runs")
		if s := f.status(); s.Skipped != 1 {
			t.Errorf("%+v", s)
		}
		f.until("00:03:00")
		f.ran(2, "once its worker is gone")
	})
}

// Whoever labels his task as the schedule's, or runs one of its tasks again, does not
// hold it up.
func TestOnlyItsOwnTasksHoldUpASchedule(t *testing.T) {
	keeping(t, func(f *timetable) {
		c := f.schedule("* * * * *", fleettest.Echo, "7")
		f.restart(c, time.Second)
		labelled := func(k *task.Task) { k.Labels = map[string]string{"schedule": "s"} }
		f.Submit(fleettest.Blocks, labelled)
		f.restart(c, time.Second)
		f.until("00:01:00")
		f.ran(2, "beside a task with its label")

		c = f.schedule("* * * * *", fleettest.Blocks, "7")
		f.reload(c)
		f.until("00:02:00")
		first := f.mine()[2].ID
		f.Engine.Rerun(f.Context(), daemontest.Who(), first, nil, func(_ task.View, err error) {
			if err != nil {
				t.Error(err)
			}
		})
		if err := f.Cancel(first); err != nil {
			t.Fatal(err)
		}
		f.restart(c, time.Second)
		f.until("00:03:00")
		f.ran(5, "beside a rerun") // the labelled one, 00:01, 00:02, its rerun, 00:03
		if s := f.status(); s.Skipped != 0 {
			t.Errorf("%+v", s)
		}
	})
}
