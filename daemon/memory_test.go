package daemon_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// heap is what is in memory now.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what had a finalizer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fullTask is a task with everything that takes memory beside what Size counts.
func fullTask(f *daemontest.Farm, n int) *task.Task {
	durable := true
	return &task.Task{ID: task.NewID(), ScriptPath: filepath.Join(f.Dir, fleettest.Echo), Function: "main", Params: []byte(fmt.Sprintf(`{"n":%d}`, n)),
		Type: task.IOBound, Priority: task.DefaultPriority, Labels: map[string]string{"n": "x"},
		Extra: &task.Extras{IdempotencyKey: fmt.Sprint("key ", n), ConcurrencyKey: fmt.Sprint("conc ", n), Durable: &durable,
			ExpiresAt: f.Now().Add(time.Hour), ResultTTL: task.Duration(time.Hour), MaxRetries: 3}}
}

// The formula for the most memory counts a constant for each task and each result, beside
// what their senders decide.
func TestTasksResultsAndWatchesTakeNoMoreThanTheFormulaHasForThem(t *testing.T) {
	c := daemontest.One(1, 1)
	const n = 4_000
	c.Queue.MaxTasks, c.Results.Max = 10*n, 10*n
	daemontest.Keeping(t, c, func(f *daemontest.Farm) {
		f.Submit(fleettest.Blocks)
		before := heap()
		var size int64
		tasks, watchers := make([]*task.Task, n), make([]*listener, n)
		for i := range tasks {
			k := fullTask(f, i)
			tasks[i] = k
			size += k.Size()
			f.Engine.Submit(f.Context(), daemontest.Who(), k, nil, func(_ task.View, err error) {
				if err != nil {
					t.Error(err)
				}
			})
			if i%500 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		each := (heap() - before - size) / n
		t.Logf("%d bytes for each task that waits", each)
		if each > config.TaskBytes {
			t.Errorf("a task that waits takes %d bytes beside its values, and the formula has %d", each, config.TaskBytes)
		}
		f.Pass(time.Minute)
		waiting := heap()
		for i := range watchers {
			watchers[i] = &listener{}
			f.Engine.Submit(f.Context(), daemontest.Who(), tasks[i], watchers[i], func(task.View, error) {})
		}
		synctest.Wait()
		haveWatches(f, daemontest.Who().UID, n)
		each = (heap() - waiting) / n
		t.Logf("%d bytes for each watch", each)
		if each > config.WatchBytes/2 { // the other half is ipc's
			t.Errorf("a watch takes %d bytes, and the formula has %d", each, config.WatchBytes)
		}
		if _, err := f.Engine.CancelAll(f.Context(), daemontest.Who(), api.Filter{}); err != nil {
			t.Fatal(err)
		}
		f.Pass(time.Minute)
		size += n * int64(len("Cancelled")+len("cancelled before it ran"))
		tasks, watchers = nil, nil
		each = (heap() - before - size) / n
		t.Logf("%d bytes for each result", each)
		if most := int64(config.TaskBytes + config.ResultBytes); each > most {
			t.Errorf("a result that is kept takes %d bytes beside its values and its task's, and the formula has %d", each, most)
		}
	})
}
