package journal

import (
	"runtime"
	"testing"
	"weak"

	"cpulb/daemon/task"
)

func TestNothingIsKeptOfWhatIsSynced(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	tasks := make([]weak.Pointer[task.Task], 100)
	release := j.HoldSyncs()
	answered := make(chan error, len(tasks))
	for n := range tasks {
		a := newTask(n, "")
		tasks[n] = weak.Make(a.Task)
		j.Append(Synced, func(err error) { answered <- err }, Op{Accepted: &a})
	}
	release(nil)
	for range tasks {
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	kept := 0
	for _, w := range tasks {
		if w.Value() != nil {
			kept++
		}
	}
	if kept > 0 {
		t.Errorf("%d of %d tasks are still in memory", kept, len(tasks))
	}
}
