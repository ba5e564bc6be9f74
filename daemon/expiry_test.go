package daemon_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// What is past its time is gone for everybody at once, whoever looks first: at the moment
// itself, and before the engine's own timer does.
func TestWhatIsPastItsTimeIsGoneForWhoeverLooksFirst(t *testing.T) {
	ways := map[string]func(f *daemontest.Farm, k *task.Task, b *sentBatch) (gone bool){
		"its view": func(f *daemontest.Farm, k *task.Task, _ *sentBatch) bool {
			_, err := f.Engine.View(f.Context(), daemontest.Who(), k.ID)
			return errors.Is(err, task.ErrEvicted)
		},
		"its result": func(f *daemontest.Farm, k *task.Task, _ *sentBatch) bool {
			_, err := f.Engine.Result(f.Context(), daemontest.Who(), k.ID)
			return errors.Is(err, task.ErrEvicted)
		},
		"its events": func(f *daemontest.Farm, k *task.Task, _ *sentBatch) bool {
			_, err := f.Events(f.Context(), daemontest.Who(), k.ID, task.Cursor{})
			return errors.Is(err, task.ErrEvicted)
		},
		"a rerun": func(f *daemontest.Farm, k *task.Task, _ *sentBatch) bool {
			var r reply
			f.Engine.Rerun(f.Context(), daemontest.Who(), k.ID, nil, r.is)
			return errors.Is(r.err, task.ErrEvicted)
		},
		"a cancel": func(f *daemontest.Farm, k *task.Task, _ *sentBatch) bool {
			var r reply
			f.Engine.Cancel(daemontest.Who(), k.ID, r.is)
			return errors.Is(r.err, task.ErrEvicted)
		},
		"a list": func(f *daemontest.Farm, _ *task.Task, _ *sentBatch) bool {
			l, err := f.List(f.Context(), daemontest.Who(), api.Filter{Statuses: []task.Status{task.Completed}}, api.Page{})
			return err == nil && len(l.Tasks) == 0
		},
		"its batch": func(f *daemontest.Farm, _ *task.Task, b *sentBatch) bool {
			_, err := f.Engine.Batch(daemontest.Who(), b.id)
			return errors.Is(err, api.ErrBatchNotFound)
		},
		"its batch's results": func(f *daemontest.Farm, _ *task.Task, b *sentBatch) bool {
			_, err := f.Engine.BatchResults(f.Context(), daemontest.Who(), b.id)
			return errors.Is(err, api.ErrBatchNotFound)
		},
		"the counts": func(f *daemontest.Farm, _ *task.Task, _ *sentBatch) bool {
			return f.Engine.Status(f.Context()).Engine.Tasks["completed"] == 0
		},
		"its idempotency key": func(f *daemontest.Farm, k *task.Task, _ *sentBatch) bool {
			again := *k
			again.ID = task.NewID()
			var r reply
			f.Engine.Submit(f.Context(), daemontest.Who(), &again, nil, r.is)
			synctest.Wait()
			return r.err == nil && r.view.ID == again.ID && r.view.Status != task.Completed
		},
		"its id": func(f *daemontest.Farm, k *task.Task, _ *sentBatch) bool {
			again := *k
			var r reply
			f.Engine.Submit(f.Context(), daemontest.Who(), &again, nil, r.is)
			synctest.Wait()
			return r.err == nil && r.view.Status != task.Completed && f.Result(k.ID).Status == task.Completed
		},
		"its batch sent again": func(f *daemontest.Farm, k *task.Task, b *sentBatch) bool {
			again := sendBatch(f, daemontest.Who(), k)
			return again.id != b.id && again.errs[0] == nil
		},
	}
	for name, gone := range ways {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(f *daemontest.Farm) {
				k := newTask(f, fleettest.Echo)
				k.Extra.ResultTTL, k.Extra.IdempotencyKey = task.Duration(time.Minute), "once"
				b := sendBatch(f, daemontest.Who(), k)
				f.SetClock(-time.Hour) // nothing goes by the clock on the wall
				time.Sleep(time.Minute - time.Nanosecond)
				f.Are(task.Completed, k.ID)
				time.Sleep(time.Nanosecond)
				if !gone(f, k, b) {
					t.Errorf("it is there, a minute after its end")
				}
			})
		})
	}
}

// Who waits for a Result gets it, however short it is kept.
func TestAResultThatIsNotKeptReachesWhoWaits(t *testing.T) {
	everywhere(t, func(f *daemontest.Farm) {
		k := newTask(f, fleettest.Sleeps)
		k.Extra.ResultTTL = task.Duration(time.Nanosecond)
		w := &last{}
		if _, err, _ := answer(f, daemontest.Who(), k, w); err != nil {
			t.Fatal(err)
		}
		f.Ends("completed", 1, k.ID)
		f.Pass(time.Second)
		if w.result == nil {
			t.Error("who watches has not heard of it")
		}
	})
}

// last keeps the Result of a task that it watches.
type last struct {
	task.Heard
	result *task.Result
}

func (*last) Verbose() bool       { return false }
func (*last) Outlet() task.Outlet { return nil }

func (w *last) PassOn() { w.Each(func(ev *task.Event) { w.result = ev.Result }) }
