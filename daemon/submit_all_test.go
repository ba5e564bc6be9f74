package daemon_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// submitAll submits tasks together and returns, by line, how each was answered, and in which
// order the answers came.
func submitAll(f *daemontest.Farm, tasks ...*task.Task) (views []task.View, errs []error, order []int) {
	views, errs = make([]task.View, len(tasks)), make([]error, len(tasks))
	var all []api.Submission
	var lock sync.Mutex // answers come from whoever has them
	for i, k := range tasks {
		all = append(all, api.Submission{Task: k, Answer: func(v task.View, err error) {
			lock.Lock()
			defer lock.Unlock()
			views[i], errs[i] = v, err
			order = append(order, i)
		}})
	}
	f.Engine.SubmitAll(f.Context(), daemontest.Who(), all)
	synctest.Wait()
	return views, errs, order
}

func TestSubmissionsThatComeTogetherAreEachAnsweredAsIfAlone(t *testing.T) {
	everywhere(t, func(f *daemontest.Farm) {
		known := newTask(f, fleettest.Echo)
		known.Params = []byte(`["` + strings.Repeat("x", 10_000) + `"]`) // compared without the lock
		if _, err, _ := answer(f, daemontest.Who(), known, nil); err != nil {
			t.Fatal(err)
		}
		conflict := newTask(f, fleettest.Echo)
		conflict.ID = known.ID
		twice := newTask(f, fleettest.Sleeps)
		missing := newTask(f, "no such script")
		tasks := append([]*task.Task{missing, newTask(f, fleettest.Echo), missing, known, conflict, twice, twice}, echoes(f, 600)...)
		views, errs, order := submitAll(f, tasks...)
		if len(order) != len(tasks) {
			t.Fatalf("%d answers for %d", len(order), len(tasks))
		}
		for i, k := range tasks {
			want := error(nil)
			switch k {
			case missing:
				want = task.ErrInvalid
			case conflict:
				want = task.ErrConflict
			}
			if !errors.Is(errs[i], want) || want == nil && views[i].ID != k.ID {
				t.Errorf("line %d: %+v %v, want %v", i, views[i], errs[i], want)
			}
		}
		f.Ends("completed", 1, idsOf(tasks[7:]...)...)
	})
}

func TestSubmissionsThatComeTogetherAreAnsweredInTheirOrder(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		tasks := echoes(f, 300)
		for i := range tasks {
			if i%3 == 0 {
				tasks[i] = newTask(f, "no such script")
			}
		}
		if _, _, order := submitAll(f, tasks...); len(order) != len(tasks) || !slices.IsSorted(order) {
			t.Errorf("the answers come for %v", order)
		}
	})
}

func TestSubmissionsThatComeTogetherStartByPriority(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		low, high := newTask(f, fleettest.Sleeps), newTask(f, fleettest.Sleeps)
		low.Priority, high.Priority = 1, 9
		submitAll(f, low, high)
		if f.View(high.ID).Status != task.Running || f.View(low.ID).Status != task.Queued {
			t.Errorf("the one of priority 9 is %s, that of 1 is %s", f.View(high.ID).Status, f.View(low.ID).Status)
		}
	})
}
