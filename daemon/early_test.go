package daemon_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// seer is a watcher that keeps what it has heard.
type seer struct {
	task.Heard
	mu    sync.Mutex
	kinds []string
}

func (s *seer) Verbose() bool       { return true }
func (s *seer) Outlet() task.Outlet { return nil }
func (s *seer) PassOn()             { s.Each(s.note) }

func (s *seer) note(ev *task.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := string(ev.Kind)
	if ev.Status != nil {
		kind = ev.Status.String()
	}
	s.kinds = append(s.kinds, kind)
}

func (s *seer) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds
}

// early runs a test on a farm of one slot whose disk is slow from the beginning; sent is a
// task that has been submitted and that the slot has.
func early(t *testing.T, script string, params string, test func(f *daemontest.Farm, k *task.Task, sent *reply, w *seer, release func(error))) {
	t.Helper()
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		release := f.Engine.HoldSyncs()
		k, w, sent := newTask(f, script), &seer{}, &reply{}
		k.Params = []byte(params)
		f.Engine.Submit(f.Context(), daemontest.Who(), k, w, sent.is)
		synctest.Wait()
		if runs := f.Launcher.Runs.Of(k.ID.String()); len(runs) != 1 || sent.answers != 0 {
			t.Fatalf("it has run %v, and was answered %d times", runs, sent.answers)
		}
		test(f, k, sent, w, release)
	})
}

// unseen: nobody is shown the task.
func unseen(f *daemontest.Farm, id task.ID, w *seer) {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	for name, look := range looks(f, id) {
		if found, err := look(ctx); !errors.Is(err, context.Canceled) {
			f.Errorf("%s finds %q, %v", name, found, err)
		}
	}
	if len(w.heard()) > 0 {
		f.Errorf("its watcher has heard %v", w.heard())
	}
	counts(f, "pending")
}

// counts: the one task there is counts as this.
func counts(f *daemontest.Farm, want string) {
	f.Helper()
	for status, n := range f.Engine.Status(f.Context()).Engine.Tasks {
		if (n == 1) != (status == want) {
			f.Errorf("%v tasks are %s, and it should be %s", n, status, want)
		}
	}
}

func TestWhatHasRunBeforeItWasAcceptedIsShownOnlyThen(t *testing.T) {
	early(t, fleettest.Echo, `1`, func(f *daemontest.Farm, k *task.Task, sent *reply, w *seer, release func(error)) {
		unseen(f, k.ID, w)
		release(nil)
		synctest.Wait()
		if sent.answers != 1 || sent.err != nil {
			t.Errorf("%+v", sent)
		}
		f.Ends("completed", 1, k.ID)
		if heard := w.heard(); len(heard) == 0 || heard[len(heard)-1] != "result" || heard[0] != "running" {
			t.Errorf("its watcher has heard %v", heard)
		}
	})
}

func TestATaskThatIsNotAcceptedAfterAllIsStoppedAndForgotten(t *testing.T) {
	for _, script := range []string{fleettest.Echo, fleettest.Blocks, fleettest.Stubborn} {
		t.Run(script, func(t *testing.T) {
			early(t, script, `1`, func(f *daemontest.Farm, k *task.Task, sent *reply, w *seer, release func(error)) {
				next := newTask(f, fleettest.Echo)
				release(errors.New("the disk fails"))
				f.Pass(2 * time.Second) // in which the journal sees to that
				if sent.answers != 1 || !errors.Is(sent.err, task.ErrNoSpace) {
					t.Errorf("%+v", sent)
				}
				if _, err := f.Engine.View(f.Context(), daemontest.Who(), k.ID); !errors.Is(err, task.ErrNotFound) {
					t.Errorf("it is found: %v", err)
				}
				f.Pass(10 * time.Minute) // in which it stops, or its worker is ended
				if runs := f.Launcher.Runs.Of(k.ID.String()); len(runs) != 1 || runs[0].Ended == 0 {
					t.Errorf("it has run %+v", runs)
				}
				if r := send(f.Context(), f, next); r.err != nil {
					t.Fatal(r.err)
				}
				f.Ends("completed", 1, next.ID)
				if len(w.heard()) > 0 {
					t.Errorf("its watcher has heard %v", w.heard())
				}
				f.Crash()
				if _, err := f.Engine.View(f.Context(), daemontest.Who(), k.ID); !errors.Is(err, task.ErrNotFound) {
					t.Errorf("it is found after a crash: %v", err)
				}
			})
		})
	}
}

func TestACancelOfWhatRunsBeforeItIsAcceptedIsAnsweredWhenThatIsSure(t *testing.T) {
	early(t, fleettest.Blocks, `1`, func(f *daemontest.Farm, k *task.Task, sent *reply, w *seer, release func(error)) {
		c := cancelled(f, k.ID)
		f.Pass(time.Second)
		if c.answers != 0 || sent.answers != 0 {
			t.Errorf("answered before the commit: %+v, %+v", c, sent)
		}
		unseen(f, k.ID, w)
		release(nil)
		synctest.Wait()
		if c.answers != 1 || c.err != nil || sent.answers != 1 || sent.err != nil {
			t.Errorf("%+v, %+v", c, sent)
		}
		f.Ends("cancelled", 1, k.ID)
		f.Crash()
		f.Ends("cancelled", 1, k.ID)
	})
}

func TestATaskThatIsSentAgainWhileItRunsUnacceptedIsOneTask(t *testing.T) {
	early(t, fleettest.Echo, `1`, func(f *daemontest.Farm, k *task.Task, sent *reply, _ *seer, release func(error)) {
		again := send(f.Context(), f, k)
		if again.answers != 0 {
			t.Errorf("%+v", again)
		}
		release(nil)
		synctest.Wait()
		if again.answers != 1 || again.err != nil || sent.answers != 1 {
			t.Errorf("%+v, %+v", again, sent)
		}
		f.Ends("completed", 1, k.ID)
	})
}

func TestWhatRunsUnacceptedOutlivesItsWorker(t *testing.T) {
	early(t, fleettest.Sleeps, `"1m"`, func(f *daemontest.Farm, k *task.Task, sent *reply, w *seer, release func(error)) {
		f.Ready("p-0").Die("signal: killed")
		f.Pass(10 * time.Second)
		unseen(f, k.ID, w)
		release(nil)
		synctest.Wait()
		if sent.answers != 1 || sent.err != nil {
			t.Errorf("%+v", sent)
		}
		f.Ends("completed", 2, k.ID)
	})
}

// What the journal has of it may outlive the daemon; then its attempt counts.
func TestWhatRunsUnacceptedCountsItsAttemptWhenTheDaemonDies(t *testing.T) {
	early(t, fleettest.Sleeps, `"1m"`, func(f *daemontest.Farm, k *task.Task, sent *reply, _ *seer, release func(error)) {
		synctest.Wait()
		go func() { time.Sleep(time.Second); release(nil) }() // or the engine of before would not end
		f.Crash()
		f.Ends("completed", 2, k.ID)
		if r := send(f.Context(), f, k); r.err != nil || r.view.Status != task.Completed {
			t.Errorf("sent again: %+v", r)
		}
	})
}

func TestADrainWaitsForWhatRunsUnaccepted(t *testing.T) {
	early(t, fleettest.Sleeps, `"1m"`, func(f *daemontest.Farm, k *task.Task, sent *reply, _ *seer, release func(error)) {
		if err := f.Engine.Drain(daemontest.Who()); err != nil {
			t.Fatal(err)
		}
		if r := send(f.Context(), f, newTask(f, fleettest.Echo)); !errors.Is(r.err, api.ErrDraining) {
			t.Errorf("%+v", r)
		}
		f.Pass(2 * time.Minute)
		if sent.answers != 0 {
			t.Errorf("%+v", sent)
		}
		release(nil)
		synctest.Wait()
		if sent.answers != 1 || sent.err != nil {
			t.Errorf("%+v", sent)
		}
		f.Ends("completed", 1, k.ID)
	})
}

func TestAStopLosesNothingThatRunsUnaccepted(t *testing.T) {
	early(t, fleettest.Sleeps, `"1m"`, func(f *daemontest.Farm, k *task.Task, sent *reply, _ *seer, release func(error)) {
		go func() { time.Sleep(time.Second); release(nil) }()
		f.Restart()
		if sent.answers != 1 || sent.err != nil {
			t.Errorf("%+v", sent)
		}
		f.Ends("completed", 2, k.ID)
	})
}

func TestWhatMustNotRunTwiceWaitsForItsCommit(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		release := f.Engine.HoldSyncs()
		k := newTask(f, fleettest.Echo)
		k.Extra.OnWorkerLost = task.Fail
		sent := send(f.Context(), f, k)
		if runs := f.Launcher.Runs.Of(k.ID.String()); len(runs) != 0 || sent.answers != 0 {
			t.Errorf("it has run %v, and was answered %d times", runs, sent.answers)
		}
		release(nil)
		f.Ends("completed", 1, k.ID)
	})
}

// A disk that takes long holds up nobody who does not wait for it.
func TestWhatWaitsForASlowDiskLeavesItsSlotToOthers(t *testing.T) {
	for _, script := range []string{fleettest.Echo, fleettest.Blocks} {
		daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
			release := f.Engine.HoldCommits()
			slow, sent := newTask(f, script), &reply{}
			f.Engine.Submit(f.Context(), daemontest.Who(), slow, nil, sent.is)
			f.Pass(time.Second)
			for range 3 {
				quick := newTask(f, fleettest.Echo)
				quick.Extra = &task.Extras{Durable: new(bool)}
				if r := send(f.Context(), f, quick); r.err != nil {
					t.Fatal(r.err)
				}
				f.Pass(time.Second)
				f.Are(task.Completed, quick.ID)
				late := newTask(f, fleettest.Echo)
				f.Engine.Submit(f.Context(), daemontest.Who(), late, nil, new(reply).is)
				f.Pass(time.Second)
			}
			if runs := f.Launcher.Runs.Of(slow.ID.String()); len(runs) != 0 || sent.answers != 0 {
				t.Errorf("it has run %v, and was answered %d times", runs, sent.answers)
			}
			if script == fleettest.Blocks {
				f.Engine.Cancel(daemontest.Who(), slow.ID, func(task.View, error) {})
				release()
				f.Ends("cancelled", 0, slow.ID)
				return
			}
			release()
			f.Ends("completed", 1, slow.ID)
		})
	}
}

// It has given its slot back, and waits for its note, when it turns out that it is refused.
func TestWhatIsRefusedWhileItWaitsForASlowDiskIsForgotten(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		release, fail := f.Engine.HoldCommits(), f.Engine.HoldSyncs()
		slow, sent := newTask(f, fleettest.Echo), &reply{}
		f.Engine.Submit(f.Context(), daemontest.Who(), slow, nil, sent.is)
		f.Pass(time.Second)
		fail(errors.New("the disk fails"))
		f.Pass(time.Second)
		release()
		f.Pass(2 * time.Second)
		if sent.answers != 1 || !errors.Is(sent.err, task.ErrNoSpace) {
			t.Errorf("%+v", sent)
		}
		// It may have run: its note may be written before the sync fails.
		if _, err := f.Engine.View(f.Context(), daemontest.Who(), slow.ID); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("it is known: %v", err)
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
	})
}
