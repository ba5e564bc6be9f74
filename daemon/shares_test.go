package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// Two callers, none of whom administers.
var (
	greedy = access.Identity{UID: 1001, GID: 1001}
	other  = access.Identity{UID: 1002, GID: 1002}
)

// narrow is a configuration of one slot and a queue of so many tasks.
func narrow(tasks int, policy string) *config.Config {
	c := daemontest.One(1, 1)
	c.Queue.MaxTasks, c.Queue.Policy = tasks, policy
	return c
}

// busy has the only slot taken.
func busy(f *daemontest.Farm) { f.Submit(fleettest.Sleeps, daemontest.Params("1h")) }

// given is a task that has been accepted of a caller.
func given(t *testing.T, f *daemontest.Farm, who access.Identity, options ...daemontest.Option) *task.Task {
	t.Helper()
	k := newTask(f, fleettest.Echo)
	for _, change := range options {
		change(k)
	}
	if _, err, answered := answer(f, who, k, nil); err != nil || !answered {
		t.Fatalf("uid %d: %v, answered %v", who.UID, err, answered)
	}
	return k
}

func priority(n int) daemontest.Option { return func(k *task.Task) { k.Priority = n } }

func TestOneCallerFillsItsShareOfTheQueueAlone(t *testing.T) {
	c := narrow(90, "reject")
	c.Queue.MaxBytes = 90 << 10
	daemontest.On(t, c, func(f *daemontest.Farm) {
		busy(f)
		for range 60 {
			given(t, f, greedy)
		}
		_, err, _ := answer(f, greedy, newTask(f, fleettest.Echo), nil)
		if !errors.Is(err, task.ErrQueueFull) || !strings.Contains(err.Error(), "your share of the queue, 60 of 60 tasks") {
			t.Error(err)
		}
		given(t, f, other)
		large := newTask(f, fleettest.Echo)
		large.Labels = map[string]string{}
		for i := range 60 {
			large.Labels[fmt.Sprint(i)] = strings.Repeat("x", 1000)
		}
		if _, err, _ := answer(f, other, large, nil); !errors.Is(err, task.ErrQueueFull) || !strings.Contains(err.Error(), "bytes") {
			t.Errorf("labels are not counted: %v", err)
		}
		for range 29 {
			given(t, f, daemontest.Who())
		}
		_, err, _ = answer(f, daemontest.Who(), newTask(f, fleettest.Echo), nil)
		if !errors.Is(err, task.ErrQueueFull) || !strings.Contains(err.Error(), "the whole queue, 90 of 90 tasks") {
			t.Error(err)
		}
		got := f.Engine.Status(f.Context()).Components["input_queue"].Metrics["callers"].([]api.CallerPart)
		if len(got) != 3 || got[0].UID != greedy.UID || got[0].Tasks != 60 || got[0].Bytes < 60*100 || got[2].UID != other.UID {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhoWaitsForRoomHoldsUpNobodyElse(t *testing.T) {
	daemontest.On(t, narrow(9, "block"), func(f *daemontest.Farm) {
		busy(f)
		for range 6 {
			given(t, f, greedy)
		}
		gone, leave := context.WithCancel(f.Context())
		var withdrawn atomic.Int32
		for range 50 {
			f.Engine.Submit(gone, greedy, newTask(f, fleettest.Echo), nil, func(_ task.View, err error) {
				if err != nil {
					withdrawn.Add(1)
				}
			})
		}
		waits := newTask(f, fleettest.Echo)
		if _, _, answered := answer(f, greedy, waits, nil); answered {
			t.Fatal("it has more than its share")
		}
		given(t, f, other)
		leave()
		synctest.Wait()
		if n := withdrawn.Load(); n != 50 {
			t.Errorf("%d of 50 were withdrawn", n)
		}
		if n := f.Engine.Status(f.Context()).Components["input_queue"].Metrics["blocked"]; n != 1 {
			t.Errorf("%v wait for room", n)
		}
		f.Pass(time.Hour)
		f.Ends("completed", 1, waits.ID)
	})
}

func TestNobodyPushesOutAnothersTasks(t *testing.T) {
	daemontest.On(t, narrow(9, "drop_oldest"), func(f *daemontest.Farm) {
		busy(f)
		mine := given(t, f, other, priority(0))
		first := given(t, f, greedy, priority(3))
		for range 100 {
			given(t, f, greedy, priority(9))
		}
		f.Are(task.Queued, mine.ID)
		f.Ends("queue_dropped", 0, first.ID)
		f.Pass(time.Hour)
		f.Ends("completed", 1, mine.ID)
	})
}

func TestASecondCallerWaitsBehindOneTaskOfAFlood(t *testing.T) {
	daemontest.On(t, narrow(1000, "reject"), func(f *daemontest.Farm) {
		minute := func(k *task.Task) {
			k.ScriptPath = strings.TrimSuffix(k.ScriptPath, fleettest.Echo) + fleettest.Sleeps
			k.Priority = 9
		}
		for range 100 {
			given(t, f, greedy, minute)
		}
		for range 5 {
			began := f.Now()
			mine := given(t, f, other, priority(0))
			f.Ends("completed", 1, mine.ID)
			if waited := f.Now().Sub(began); waited > 2*time.Minute {
				t.Errorf("it waited %s", waited)
			}
		}
	})
}

func TestConcurrencyKeysAreTheirCallersOwn(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		keyed := func(k *task.Task) {
			k.ScriptPath = strings.TrimSuffix(k.ScriptPath, fleettest.Echo) + fleettest.Sleeps
			k.Extra.ConcurrencyKey = "database"
		}
		first, second := given(t, f, greedy, keyed), given(t, f, greedy, keyed)
		mine := given(t, f, other, keyed)
		f.Are(task.Running, first.ID, mine.ID)
		f.Pass(time.Second)
		if v := f.View(second.ID); v.Status == task.Running {
			t.Error("two of one caller with one key run at a time")
		}
		f.Ends("completed", 1, second.ID)
	})
}

func TestWhatWaitedBeforeARestartCountsAndIsNotRefused(t *testing.T) {
	daemontest.Keeping(t, narrow(12, "reject"), func(f *daemontest.Farm) {
		busy(f)
		var all []task.ID
		for range 8 {
			all = append(all, given(t, f, greedy).ID)
		}
		small := narrow(6, "reject")
		small.Journal = config.Default().Journal
		f.Restart()
		if err := f.Reload(small); err != nil {
			t.Fatal(err)
		}
		if _, err, _ := answer(f, greedy, newTask(f, fleettest.Echo), nil); !errors.Is(err, task.ErrQueueFull) {
			t.Error(err)
		}
		f.Pass(2 * time.Hour)
		f.AreOver(all)
	})
}

// What a caller may give at most is added to the times of either clock.
func TestTheFarthestTimesDoNotOverflow(t *testing.T) {
	farthest := time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	daemontest.Keeping(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		long := func(k *task.Task) {
			k.Timeout = task.MaxDuration
			k.Extra.ResultTTL, k.Extra.RetryBackoff, k.Extra.MaxRetries = task.MaxDuration, task.MaxDuration, task.MaxRetries
			k.Extra.ExpiresAt = farthest
		}
		ran := given(t, f, greedy, long)
		fails := given(t, f, greedy, long, func(k *task.Task) { k.ScriptPath = strings.TrimSuffix(k.ScriptPath, fleettest.Echo) + fleettest.Fails })
		delayed := given(t, f, greedy, long, func(k *task.Task) { k.Extra.Delay = task.MaxDuration })
		far := given(t, f, greedy, long, func(k *task.Task) { k.Extra.RunAt = farthest.Add(-time.Second) })
		day := 24 * time.Hour
		if testing.Short() {
			day = time.Hour
		}
		for range 2 {
			f.Ends("completed", 1, ran.ID)
			f.Are(task.Pending, fails.ID, delayed.ID, far.ID)
			f.Pass(day)
			f.Restart()
		}
		f.Are(task.Completed, ran.ID)
		f.Are(task.Pending, fails.ID, delayed.ID, far.ID)
	})
}
