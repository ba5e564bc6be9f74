package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// reply is the answer for one task, once it has come.
type reply struct {
	view    task.View
	err     error
	answers int
}

func (r *reply) is(v task.View, err error) { r.view, r.err, r.answers = v, err, r.answers+1 }

// send submits a task for a client that stays as long as ctx.
func send(ctx context.Context, f *daemontest.Farm, k *task.Task) *reply {
	r := &reply{}
	f.Engine.Submit(ctx, daemontest.Who(), k, nil, r.is)
	synctest.Wait()
	return r
}

func cancelled(f *daemontest.Farm, id task.ID) *reply {
	r := &reply{}
	f.Engine.Cancel(daemontest.Who(), id, r.is)
	synctest.Wait()
	return r
}

// looks are the ways to look for a task; each returns what it finds.
func looks(f *daemontest.Farm, id task.ID) map[string]func(context.Context) (string, error) {
	return map[string]func(context.Context) (string, error){
		"view": func(ctx context.Context) (string, error) {
			v, err := f.Engine.View(ctx, daemontest.Who(), id)
			return v.ID.String(), err
		},
		"result": func(ctx context.Context) (string, error) {
			r, err := f.Engine.Result(ctx, daemontest.Who(), id)
			if err != nil {
				return "", err
			}
			return r.ID.String(), nil
		},
		"events": func(ctx context.Context) (found string, err error) {
			events, err := f.Events(ctx, daemontest.Who(), id, task.Cursor{})
			if err != nil {
				return "", err
			}
			for ev, err := range events {
				if err != nil {
					return "", err
				}
				found = ev.ID.String()
			}
			return found, nil
		},
		"list": func(ctx context.Context) (string, error) {
			l, err := f.List(ctx, daemontest.Who(), api.Filter{}, api.Page{})
			if err == nil && len(l.Tasks) == 0 {
				err = task.ErrNotFound
			}
			if err != nil {
				return "", err
			}
			return l.Tasks[0].ID.String(), nil
		},
		"rerun": func(ctx context.Context) (string, error) {
			answer := make(chan error, 1)
			f.Engine.Rerun(ctx, daemontest.Who(), id, nil, func(_ task.View, err error) { answer <- err })
			return id.String(), <-answer
		},
	}
}

// Nothing is shown as accepted before its commit, and nobody is told that there is no such
// task, who could know of it.
func TestWhoLooksForATaskThatIsBeingCommittedWaitsForTheOutcome(t *testing.T) {
	for name := range looks(nil, task.ID{}) {
		t.Run(name, func(t *testing.T) {
			daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
				release := f.Engine.HoldCommits()
				k := newTask(f, fleettest.Echo)
				sent := send(f.Context(), f, k)
				found := ""
				err := errors.New("it waits")
				go func() { found, err = looks(f, k.ID)[name](f.Context()) }()
				short, cancel := context.WithTimeout(f.Context(), time.Second)
				defer cancel()
				if _, err := looks(f, k.ID)[name](short); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("who gives up: %v", err)
				}
				if sent.answers != 0 || found != "" || err == nil {
					t.Errorf("before the commit: %+v, found %q: %v", sent, found, err)
				}
				release()
				synctest.Wait()
				if sent.err != nil || sent.answers != 1 || err != nil || found != k.ID.String() {
					t.Errorf("after the commit: %+v, found %q: %v", sent, found, err)
				}
			})
		})
	}
}

func TestOthersAreNotToldOfATaskOnItsWayIn(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		release := f.Engine.HoldCommits()
		k := newTask(f, fleettest.Echo)
		send(f.Context(), f, k)
		if _, err := f.Engine.View(f.Context(), stranger, k.ID); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("view: %v", err)
		}
		var refused reply
		f.Engine.Cancel(stranger, k.ID, refused.is)
		if !errors.Is(refused.err, task.ErrNotFound) {
			t.Errorf("cancel: %+v", refused)
		}
		release()
		f.Ends("completed", 1, k.ID)
	})
}

// ways to cancel one task.
func cancels() map[string]func(f *daemontest.Farm, id task.ID) (done func() error) {
	return map[string]func(f *daemontest.Farm, id task.ID) func() error{
		"by id": func(f *daemontest.Farm, id task.ID) func() error {
			r := cancelled(f, id)
			return func() error {
				if r.answers != 1 || r.view.Status != task.Cancelled {
					return fmt.Errorf("answered %+v", r)
				}
				return r.err
			}
		},
		"by a filter": func(f *daemontest.Farm, _ task.ID) func() error {
			err := errors.New("not answered")
			go func() {
				var n int
				if n, err = f.Engine.CancelAll(f.Context(), daemontest.Who(), api.Filter{Labels: map[string]string{"kind": fleettest.Echo}}); n != 1 && err == nil {
					err = fmt.Errorf("%d were cancelled", n)
				}
			}()
			synctest.Wait()
			return func() error { return err }
		},
	}
}

func TestACancelOfATaskThatIsBeingCommittedHolds(t *testing.T) {
	for name, cancel := range cancels() {
		t.Run(name, func(t *testing.T) {
			daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
				release := f.Engine.HoldCommits()
				k := newTask(f, fleettest.Echo)
				sent := send(f.Context(), f, k)
				answered := cancel(f, k.ID)
				if answered() == nil || sent.answers != 0 {
					t.Errorf("answered before the commit: %+v", sent)
				}
				release()
				synctest.Wait()
				if err := answered(); err != nil || sent.err != nil || sent.view.Status != task.Cancelled {
					t.Errorf("the cancel: %v, the submission: %+v", err, sent)
				}
				f.Ends("cancelled", 0, k.ID)
				if again := send(f.Context(), f, k); again.view.Status != task.Cancelled {
					t.Errorf("sent again: %+v", again)
				}
				f.Crash()
				f.Ends("cancelled", 0, k.ID)
			})
		})
	}
}

// A daemon that dies before it has told anybody of the cancel keeps to it, too.
func TestACancelOfATaskThatIsBeingCommittedOutlivesACrash(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		release := f.Engine.HoldCommits()
		time.AfterFunc(time.Second, release) // when the journal is closed
		k := newTask(f, fleettest.Echo)
		send(f.Context(), f, k)
		cancelled(f, k.ID)
		f.Crash()
		f.Ends("cancelled", 0, k.ID)
	})
}

// full is an engine with one worker that is busy and one task that waits for it: no other
// has room.
func full(t *testing.T, keeps bool, test func(f *daemontest.Farm, waits task.ID)) {
	t.Helper()
	c := daemontest.One(1, 1)
	c.Queue.MaxTasks, c.Queue.Policy = 1, "block"
	on := daemontest.On
	if keeps {
		on = func(t *testing.T, c *config.Config, test func(f *daemontest.Farm)) {
			daemontest.Keeping(t, c, test)
		}
	}
	on(t, c, func(f *daemontest.Farm) {
		f.Submit(fleettest.Sleeps)
		test(f, f.Submit(fleettest.Echo))
	})
}

func both(t *testing.T, test func(f *daemontest.Farm, waits task.ID)) {
	for name, keeps := range map[string]bool{"with a journal": true, "in memory": false} {
		t.Run(name, func(t *testing.T) { full(t, keeps, test) })
	}
}

func blockedTasks(f *daemontest.Farm) int {
	return f.Engine.Status(f.Context()).Components["input_queue"].Metrics["blocked"].(int)
}

func TestATaskThatWaitsForRoomIsShownAsPending(t *testing.T) {
	both(t, func(f *daemontest.Farm, waits task.ID) {
		k := newTask(f, fleettest.Echo)
		sent := send(f.Context(), f, k)
		f.Are(task.Pending, k.ID)
		l, err := f.List(f.Context(), daemontest.Who(), api.Filter{Statuses: []task.Status{task.Pending}}, api.Page{})
		if err != nil || len(l.Tasks) != 1 || l.Tasks[0].ID != k.ID || sent.answers != 0 {
			t.Errorf("listed: %+v %v; answered: %+v", l.Tasks, err, sent)
		}
		if err := f.Cancel(waits); err != nil { // which makes room
			t.Fatal(err)
		}
		synctest.Wait()
		if sent.err != nil || sent.answers != 1 {
			t.Errorf("when there is room: %+v", sent)
		}
	})
}

func TestACancelledTaskThatWaitedForRoomIsToldAsSuch(t *testing.T) {
	both(t, func(f *daemontest.Farm, waits task.ID) {
		k := newTask(f, fleettest.Echo)
		sent := send(f.Context(), f, k)
		told := cancelled(f, k.ID)
		if told.err != nil || told.view.Status != task.Cancelled || sent.err != nil || sent.view.Status != task.Cancelled || blockedTasks(f) != 0 {
			t.Errorf("the cancel: %+v, the submission: %+v", told, sent)
		}
		f.Ends("cancelled", 0, k.ID)
		f.Ends("completed", 1, waits)
	})
}

func TestWhatWaitsForRoomGoesWithItsClient(t *testing.T) {
	both(t, func(f *daemontest.Farm, waits task.ID) {
		client, leave := context.WithCancel(f.Context())
		k, also := newTask(f, fleettest.Echo), newTask(f, fleettest.Echo)
		sent, stays := send(client, f, k), send(f.Context(), f, also)
		send(client, f, also) // the other one still wants it
		var watched error
		go func() { _, watched = f.Engine.Result(f.Context(), daemontest.Who(), k.ID) }()
		synctest.Wait()
		leave()
		synctest.Wait()
		if n := blockedTasks(f); n != 1 || sent.err == nil || stays.answers != 0 {
			t.Errorf("%d wait for room; answered: %+v and %+v", n, sent, stays)
		}
		if _, err := f.Engine.View(f.Context(), daemontest.Who(), k.ID); !errors.Is(err, task.ErrNotFound) || !errors.Is(watched, task.ErrNotFound) {
			t.Errorf("found: %v; who waited for it: %v", err, watched)
		}
		f.Ends("completed", 1, waits, also.ID)
		if again := send(f.Context(), f, k); again.err != nil {
			t.Errorf("sent again: %+v", again)
		}
		f.Ends("completed", 1, k.ID)
	})
}

func TestABatchThatWaitsForRoomGoesWithItsClient(t *testing.T) {
	both(t, func(f *daemontest.Farm, waits task.ID) {
		client, leave := context.WithCancel(f.Context())
		if err := f.Cancel(waits); err != nil { // room for one
			t.Fatal(err)
		}
		tasks := []*task.Task{newTask(f, fleettest.Echo), newTask(f, fleettest.Echo), newTask(f, fleettest.Echo)}
		var ids []task.ID
		var errs []error
		f.Engine.SubmitBatch(client, daemontest.Who(), task.NewID(), tasks, func(_ task.ID, i []task.ID, e []error) { ids, errs = i, e })
		synctest.Wait()
		if ids != nil || blockedTasks(f) != 2 {
			t.Fatalf("answered: %v %v; %d wait for room", ids, errs, blockedTasks(f))
		}
		leave()
		synctest.Wait()
		if blockedTasks(f) != 0 || len(errs) != 3 || errs[0] != nil || errs[1] == nil || errs[2] == nil {
			t.Errorf("%d wait for room; answered: %v", blockedTasks(f), errs)
		}
		f.Ends("completed", 1, tasks[0].ID)
		for _, k := range tasks[1:] {
			if _, err := f.Engine.View(f.Context(), daemontest.Who(), k.ID); !errors.Is(err, task.ErrNotFound) {
				t.Errorf("withdrawn: %v", err)
			}
		}
	})
}

func TestWhatIsBeingCommittedIsAcceptedWithoutItsClient(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		release := f.Engine.HoldCommits()
		client, leave := context.WithCancel(f.Context())
		k := newTask(f, fleettest.Echo)
		send(client, f, k)
		leave()
		synctest.Wait()
		release()
		synctest.Wait()
		f.Ends("completed", 1, k.ID)
	})
}

// A client that stays for long does not gather what it once waited for.
func TestAWatchOverAClientEndsWithItsAnswer(t *testing.T) {
	both(t, func(f *daemontest.Farm, waits task.ID) {
		watched := &counted{Context: f.Context()}
		sent := send(watched, f, newTask(f, fleettest.Echo))
		if sent.answers != 0 || watched.watches != 1 {
			t.Fatalf("it does not wait: %+v, %d watches", sent, watched.watches)
		}
		f.Result(waits)
		synctest.Wait()
		if sent.answers != 1 || watched.watches != 0 {
			t.Errorf("answered: %+v; %d watches are left", sent, watched.watches)
		}
	})
}

// counted counts who watches a context.
type counted struct {
	context.Context
	watches int
}

// Value hides the context within.
func (*counted) Value(any) any { return nil }

// AfterFunc is what context.AfterFunc asks a foreign context for.
func (c *counted) AfterFunc(func()) (stop func() bool) {
	c.watches++
	return func() bool { c.watches--; return true }
}

func TestADrainRefusesWhatWaitsForRoom(t *testing.T) {
	both(t, func(f *daemontest.Farm, waits task.ID) {
		k := newTask(f, fleettest.Echo)
		sent := send(f.Context(), f, k)
		if err := f.Engine.Drain(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Engine.View(f.Context(), daemontest.Who(), k.ID); !errors.Is(err, task.ErrNotFound) || !errors.Is(sent.err, api.ErrDraining) {
			t.Errorf("found: %v, answered: %+v", err, sent)
		}
		f.Are(task.Queued, waits)
	})
}
