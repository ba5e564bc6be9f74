package daemon_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestEventsOfATaskArriveInOrder(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Chats)
		events, err := f.Events(f.Context(), daemontest.Who(), id, task.Cursor{Attempt: -1})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for ev, err := range events {
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, string(ev.Kind))
		}
		if got := strings.Join(kinds, " "); got != "partial progress log result" {
			t.Errorf("events: %s", got)
		}
	})
}

func TestStopLetsRunningTasksEndAndNoOthersBegin(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		runs, waits := f.Submit(fleettest.Sleeps, daemontest.Params("1m")), f.Submit(fleettest.Echo)
		go f.StopIn(f.Context())
		f.Ends("completed", 1, runs)
		f.Ends("daemon_stopped", 0, waits)
	})
}

// Without a journal nobody would make the next attempt.
func TestNoAttemptFollowsTheStop(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 3), func(f *daemontest.Farm) {
		runs := f.Submit(fleettest.Blocks, daemontest.Retries(2))
		kept := f.Submit(fleettest.StubbornOnce, daemontest.Within(time.Second), daemontest.Retries(2))
		waits := f.Submit(fleettest.Fails, daemontest.Retries(2), func(k *task.Task) { k.Extra.RetryBackoff = task.Duration(time.Hour) })
		f.Pass(5 * time.Second)
		f.Are(task.Running, runs, kept)
		f.Are(task.Pending, waits)
		f.Stop()
		f.Ends("daemon_stopped", 1, runs, kept, waits)
	})
}

func twoPools() *config.Config {
	c := daemontest.One(1, 1)
	c.Pools = append(c.Pools, c.Pools[0])
	c.Pools[0].TaskTypes, c.Pools[1].TaskTypes, c.Pools[1].Name = []string{"cpu_bound"}, []string{"io_bound"}, "q"
	return c
}

func TestATaskGoesToThePoolThatServesIt(t *testing.T) {
	daemontest.On(t, twoPools(), func(f *daemontest.Farm) {
		if r := f.Result(f.Submit(fleettest.Echo)); r.Worker.Pool != "q" {
			t.Errorf("an I/O-bound task ran in %s", r.Worker.Pool)
		}
		if r := f.Result(f.Submit(fleettest.Echo, func(k *task.Task) { k.Pool = "p" })); r.Worker.Pool != "p" {
			t.Errorf("a task for p ran in %s", r.Worker.Pool)
		}
		for _, wrong := range []daemontest.Option{func(k *task.Task) { k.Pool = "r" }, func(k *task.Task) { k.Extra = &task.Extras{Executor: "other"} }} {
			k := &task.Task{ID: task.NewID(), ScriptPath: f.Dir + "/echo", Function: "main", Type: task.IOBound}
			wrong(k)
			f.Engine.Submit(f.Context(), daemontest.Who(), k, nil, func(_ task.View, err error) {
				if !errors.Is(err, task.ErrInvalid) {
					t.Errorf("%+v: %v", k, err)
				}
			})
		}
	})
}
