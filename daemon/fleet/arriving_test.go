package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

func TestNoTaskIsOverdueWhileTheDaemonHasNoRoomForWhatItsWorkerSends(t *testing.T) {
	c := daemontest.One(1, 2)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		p := f.Ready("p-0")
		task1, task2 := f.Submit(fleettest.Stubborn, daemontest.Within(time.Second)), f.Submit(fleettest.Blocks)
		f.Are(task.Running, task1, task2)
		all := p.Handler(0).Room(0, c.Limits.Incoming())
		var more plugins.Room
		go func() { more = p.Handler(1).Room(1, 1) }()
		f.Pass(time.Hour)
		if f.Are(task.Running, task1, task2); more != nil || f.States("p-0") != "ready" {
			t.Fatalf("%s: it got room: %v", f.States("p-0"), more != nil)
		}
		all.Give(c.Limits.Incoming())
		if synctest.Wait(); more == nil {
			t.Fatal("it waits although there is room")
		}
		more.Give(1)
		f.Ends("timed_out", 1, task1)
		f.Blameless()
	})
}

func TestWhatHasComeIsReadAtTheEndWhetherThereIsRoomOrNot(t *testing.T) {
	c := daemontest.One(1, 1)
	read := false
	daemontest.On(t, c, func(f *daemontest.Farm) {
		p := f.Ready("p-0")
		p.Handler(0).Room(0, c.Limits.Incoming())
		go func() {
			p.Handler(0).Room(0, 1)
			read = true
		}()
		synctest.Wait()
	})
	if !read {
		t.Error("it waits for ever")
	}
}
