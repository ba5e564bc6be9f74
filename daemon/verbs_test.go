package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// stranger may submit, and see and stop what is his own.
var stranger = access.Identity{UID: 4711}

func newTask(f *daemontest.Farm, script string) *task.Task {
	return &task.Task{ID: task.NewID(), ScriptPath: f.Dir + "/" + script, Function: "main", Params: []byte(`"1m"`), Type: task.IOBound,
		Priority: task.DefaultPriority, Labels: map[string]string{"kind": script}, Extra: &task.Extras{}}
}

// answer submits a task and returns what the engine says at once.
func answer(f *daemontest.Farm, who access.Identity, k *task.Task, w task.Watcher) (view task.View, err error, answered bool) {
	f.Engine.Submit(f.Context(), who, k, w, func(v task.View, e error) { view, err, answered = v, e, true })
	synctest.Wait()
	return view, err, answered
}

func TestABatchIsSubmittedTogetherAndItsResultsComeAsItsTasksEnd(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		bad := newTask(f, "no such script")
		tasks := []*task.Task{newTask(f, fleettest.Sleeps), bad, newTask(f, fleettest.Echo)}
		id := task.NewID()
		var ids []task.ID
		var errs []error
		f.Engine.SubmitBatch(f.Context(), daemontest.Who(), id, tasks, func(_ task.ID, i []task.ID, e []error) { ids, errs = i, e })
		synctest.Wait()
		if len(ids) != 3 || errs[0] != nil || !errors.Is(errs[1], task.ErrInvalid) || errs[2] != nil || ids[0] != tasks[0].ID {
			t.Fatalf("answers: %v %v", ids, errs)
		}
		v, err := f.Engine.Batch(daemontest.Who(), id)
		if err != nil || v.Total != 2 || v.Done || v.Tasks["completed"] != 1 || v.Tasks["running"] != 1 {
			t.Errorf("how far it is: %+v %v", v, err)
		}
		results, err := f.Engine.BatchResults(f.Context(), daemontest.Who(), id)
		if err != nil {
			t.Fatal(err)
		}
		var order []task.ID
		for some, err := range results {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range some {
				order = append(order, r.ID)
			}
		}
		if !slices.Equal(order, []task.ID{tasks[2].ID, tasks[0].ID}) {
			t.Errorf("the results come as %v", order)
		}
		if _, err := f.Engine.Batch(stranger, id); !errors.Is(err, api.ErrBatchNotFound) {
			t.Errorf("somebody else's batch: %v", err)
		}
		if _, err := f.Engine.BatchResults(f.Context(), daemontest.Who(), task.NewID()); !errors.Is(err, api.ErrBatchNotFound) {
			t.Errorf("no batch: %v", err)
		}
	})
}

func TestWhoFollowsIsToldWhyItEnds(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Blocks)
		last := func(ctx context.Context) (err error) {
			events, err := f.Events(ctx, daemontest.Who(), id, task.Cursor{})
			if err != nil {
				return err
			}
			for _, err = range events {
			}
			return err
		}
		ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
		defer cancel()
		if err := last(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its reader has gone: %v", err)
		}
		if _, err := f.Engine.Result(ctx, daemontest.Who(), id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits for its result has gone: %v", err)
		}
		if _, err := f.Events(f.Context(), stranger, id, task.Cursor{}); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("somebody else's task: %v", err)
		}
		got := make(chan error)
		go func() { got <- last(f.Context()) }()
		synctest.Wait()
		if err := f.Cancel(id); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Errorf("it has ended: %v", err)
		}
	})
}

// listener notes the kinds of the events that it hears of.
type listener struct {
	task.Heard
	kinds   []string
	verbose bool
}

func (l *listener) PassOn() {
	l.Each(func(ev *task.Event) { l.kinds = append(l.kinds, string(ev.Kind)) })
}
func (l *listener) Verbose() bool     { return l.verbose }
func (*listener) Outlet() task.Outlet { return nil }

func TestTheSameTaskCanBeSubmittedAgain(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		k := newTask(f, fleettest.Sleeps)
		k.Extra.IdempotencyKey = "once"
		all, result := &listener{verbose: true}, &listener{}
		for _, w := range []task.Watcher{all, result} {
			if v, err, _ := answer(f, daemontest.Who(), k, w); err != nil || v.ID != k.ID {
				t.Errorf("%+v %v", v, err)
			}
		}
		byKey := *k
		byKey.ID = task.NewID()
		if v, err, _ := answer(f, daemontest.Who(), &byKey, nil); err != nil || v.ID != k.ID {
			t.Errorf("by its key: %+v %v", v, err)
		}
		other := *k
		other.Function = "other"
		if _, err, _ := answer(f, daemontest.Who(), &other, nil); !errors.Is(err, task.ErrConflict) {
			t.Errorf("other content: %v", err)
		}
		if _, err, _ := answer(f, stranger, k, nil); !errors.Is(err, task.ErrConflict) {
			t.Errorf("of somebody else: %v", err)
		}
		f.Ends("completed", 1, k.ID)
		late := &listener{}
		if _, err, _ := answer(f, daemontest.Who(), k, late); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(all.kinds, result.kinds, late.kinds) != "[state result] [result] [result]" {
			t.Errorf("heard of: %v %v %v", all.kinds, result.kinds, late.kinds)
		}
		var again task.View
		f.Engine.Rerun(f.Context(), daemontest.Who(), k.ID, nil, func(v task.View, err error) { again = v })
		synctest.Wait()
		if again.ID == k.ID || again.ID == (task.ID{}) {
			t.Errorf("run again as %v", again.ID)
		}
		f.Ends("completed", 1, again.ID)
		f.Engine.Rerun(f.Context(), stranger, k.ID, nil, func(_ task.View, err error) {
			if !errors.Is(err, task.ErrNotFound) {
				t.Errorf("somebody else's: %v", err)
			}
		})
	})
}

func TestWhatMayNotOrCannotRunIsRefused(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Access.Users = []string{"0"}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		var denied *access.Denied
		if _, err, _ := answer(f, stranger, newTask(f, fleettest.Echo), nil); !errors.As(err, &denied) {
			t.Errorf("a stranger's: %v", err)
		}
		durable := newTask(f, fleettest.Echo)
		yes := true
		durable.Extra.Durable = &yes
		if _, err, _ := answer(f, daemontest.Who(), durable, nil); !errors.Is(err, task.ErrInvalid) {
			t.Errorf("durable without a journal: %v", err)
		}
		folder := newTask(f, ".")
		if _, err, _ := answer(f, daemontest.Who(), folder, nil); !errors.Is(err, task.ErrInvalid) {
			t.Errorf("a folder: %v", err)
		}
		if _, err := f.Engine.View(f.Context(), daemontest.Who(), task.NewID()); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("no task: %v", err)
		}
		for _, admin := range []func(access.Identity) error{f.Engine.Drain, f.Engine.Resume,
			func(who access.Identity) error { return f.Engine.Reload(f.Context(), who) },
			func(who access.Identity) error { return f.Engine.RestartWorker(f.Context(), who, "p-0") },
			func(who access.Identity) error { _, err := f.Engine.Stacks(f.Context(), who, "p-0"); return err }} {
			if err := admin(stranger); !errors.As(err, &denied) {
				t.Errorf("a stranger administers: %v", err)
			}
		}
		if f.Engine.Administers(stranger) || !f.Engine.Administers(daemontest.Who()) {
			t.Error("who administers is wrong")
		}
	})
}

func TestAFullQueueDoesWhatItsPolicySays(t *testing.T) {
	for policy, want := range map[string]string{"reject": "refused", "block": "blocked", "drop_oldest": "dropped"} {
		t.Run(policy, func(t *testing.T) {
			c := daemontest.One(1, 1)
			c.Queue.MaxTasks, c.Queue.Policy = 2, policy
			daemontest.On(t, c, func(f *daemontest.Farm) {
				runs := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
				waits := f.Many(2, fleettest.Echo)
				k := newTask(f, fleettest.Echo)
				_, err, answered := answer(f, daemontest.Who(), k, nil)
				switch {
				case errors.Is(err, task.ErrQueueFull):
					want = strings.TrimPrefix(want, "refused")
				case !answered:
					if want != "blocked" {
						t.Error("it was not answered")
					}
					f.Ends("completed", 1, runs)
					f.Ends("completed", 1, append(waits, k.ID)...)
					return
				default:
					f.Pass(0)
					f.Ends("queue_dropped", 0, waits[0])
					want = strings.TrimPrefix(want, "dropped")
				}
				if want != "" {
					t.Errorf("it was not %s: %v", want, err)
				}
				f.Ends("completed", 1, runs)
			})
		})
	}
}

func TestWhoWaitsForRoomIsToldOfADrain(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Queue.MaxTasks, c.Queue.Policy = 1, "block"
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Submit(fleettest.Sleeps)
		f.Submit(fleettest.Echo)
		var refused error
		f.Engine.Submit(f.Context(), daemontest.Who(), newTask(f, fleettest.Echo), nil, func(_ task.View, err error) { refused = err })
		synctest.Wait()
		if refused != nil {
			t.Fatal(refused)
		}
		if err := f.Engine.Drain(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); !errors.Is(refused, api.ErrDraining) {
			t.Errorf("it was told %v", refused)
		}
		if err := f.Engine.Ready(); !errors.Is(err, api.ErrDraining) {
			t.Errorf("ready: %v", err)
		}
		if _, err, _ := answer(f, daemontest.Who(), newTask(f, fleettest.Echo), nil); !errors.Is(err, api.ErrDraining) {
			t.Errorf("a new task: %v", err)
		}
	})
}

func TestTimesOfATaskAreKept(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		began := time.Now()
		later := f.Submit(fleettest.Echo, func(k *task.Task) { k.Extra.Delay = task.Duration(time.Hour) })
		blocked := f.Submit(fleettest.Sleeps, daemontest.Params("2h"))
		expires := f.Submit(fleettest.Echo, func(k *task.Task) { k.Extra.ExpiresAt = began.Add(30 * time.Minute) })
		f.Are(task.Pending, later)
		f.Ends("expired", 0, expires)
		if at := time.Since(began); at != 30*time.Minute {
			t.Errorf("it expired after %s", at)
		}
		f.Pass(time.Hour)
		f.Are(task.Queued, later)
		f.Ends("completed", 1, blocked, later)
	})
}

func TestTasksOfOneKeyWaitForEachOther(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		keyed := func(k *task.Task) { k.Extra.ConcurrencyKey = "k" }
		ids := f.Many(3, fleettest.Sleeps, daemontest.Params("1m"), keyed)
		f.Pass(time.Second)
		f.Are(task.Running, ids[0])
		f.Are(task.Pending, ids[1:]...)
		f.Ends("completed", 1, ids...)
	})
}

func TestAFailureIsTriedAgainAfterAPause(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.FailsOnce, daemontest.Retries(2))
		f.Are(task.Pending, id)
		f.Ends("completed", 2, id)
		f.Ends("exception", 3, f.Submit(fleettest.Fails, daemontest.Retries(2)))
	})
}

func TestResultsGoWhenTheirTimeIsOver(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Results.TTL = time.Hour
	daemontest.On(t, c, func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Echo)
		f.Ends("completed", 1, id)
		f.Pass(time.Hour + time.Second)
		if _, err := f.Engine.View(f.Context(), daemontest.Who(), id); !errors.Is(err, task.ErrEvicted) {
			t.Errorf("an hour later: %v", err)
		}
	})
}

func TestATaskThatDoesNotStopInTimeEndsWithItsTimeout(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Stubborn, daemontest.Within(time.Minute))
		f.Ends("timed_out", 1, id)
		if r := f.Result(id); !strings.Contains(r.Error.Message, "1m0s") || r.RunSeconds != 62 {
			t.Errorf("%+v", r)
		}
	})
}
