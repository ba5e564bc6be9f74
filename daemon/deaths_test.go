package daemon_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

func once(yes bool) daemontest.Option {
	return func(k *task.Task) {
		if yes {
			daemontest.OnceOnly(k)
		}
	}
}

// ways are the ways in which a task can take its worker along.
func ways() map[string]func(f *daemontest.Farm, retries int, fail bool) task.ID {
	submit := func(script string) func(f *daemontest.Farm, retries int, fail bool) task.ID {
		return func(f *daemontest.Farm, retries int, fail bool) task.ID {
			return f.Submit(script, daemontest.Retries(retries), once(fail))
		}
	}
	return map[string]func(f *daemontest.Farm, retries int, fail bool) task.ID{
		"a crash": submit(fleettest.Crashes), "a hang": submit(fleettest.Freezes),
	}
}

// However a worker dies, and whatever its task says of retries: a task of which workers
// die costs two of them once it is alone, and one that must not run twice costs one.
func TestATaskOfWhichWorkersDieIsNeverTriedMoreOften(t *testing.T) {
	for _, threads := range []int{1, 4} {
		for _, neighbours := range []int{0, min(2, threads-1)} {
			for _, retries := range []int{0, 1, 4} {
				for _, fail := range []bool{false, true} {
					for way, submit := range ways() {
						name := fmt.Sprintf("%s/threads=%d/neighbours=%d/retries=%d/fail=%v", way, threads, neighbours, retries, fail)
						t.Run(name, func(t *testing.T) {
							daemontest.On(t, daemontest.One(1, threads), func(f *daemontest.Farm) {
								beside := f.Many(neighbours, fleettest.Sleeps, daemontest.Params("10m"), daemontest.Retries(retries))
								id := submit(f, retries, fail)
								attempts := 2
								if neighbours > 0 {
									attempts = 3
								}
								if fail {
									attempts = 1
								}
								f.Ends("worker_lost", attempts, id)
								f.Ends("completed", min(2, len(beside)+1), beside...)
								f.Ends("completed", 1, f.Submit(fleettest.Echo))
							})
						})
					}
				}
			}
		}
	}
}

// A script that now kills its worker and now fails in order does not begin anew.
func TestAFailureBetweenTwoDeathsForgivesNothing(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		long := f.Many(2, fleettest.Sleeps, daemontest.Params("1h"))
		id := f.Submit(fleettest.CrashesOften, daemontest.Retries(6))
		f.Ends("worker_lost", 4, id) // among others, alone, in order, alone
		f.Ends("completed", 2, long...)
	})
}

func TestAttemptsGoOnCountingWhateverDies(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		ids := f.Many(2, fleettest.Sleeps, daemontest.Params("1m"))
		f.Crash()
		f.Are(task.Running, ids...)
		f.Ready("p-0").Die("signal: killed")
		f.Pass(5 * time.Second)
		f.Are(task.Running, ids...)
		f.Crash()
		f.Ends("completed", 4, ids...)
		f.Ends("exception", 3, triedOnce(f))
	})
}

// triedOnce is a task that has had one of its two retries when the daemon dies.
func triedOnce(f *daemontest.Farm) task.ID {
	id := f.Submit(fleettest.Fails, daemontest.Retries(2), func(k *task.Task) { k.Extra.RetryBackoff = task.Duration(time.Hour) })
	f.Are(task.Pending, id)
	f.Crash()
	f.Are(task.Pending, id)
	return id
}

func TestWhatMustNotRunTwiceDoesNotWhateverDies(t *testing.T) {
	for name, end := range map[string]func(f *daemontest.Farm){"killed": (*daemontest.Farm).Crash, "stopped": (*daemontest.Farm).Restart} {
		t.Run(name, func(t *testing.T) {
			daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
				runs := f.Submit(fleettest.Sleeps, daemontest.OnceOnly, daemontest.Retries(3))
				waits := f.Submit(fleettest.Sleeps, daemontest.Params("1m"), daemontest.OnceOnly, daemontest.Retries(3))
				end(f)
				f.Ends("daemon_lost", 1, runs)
				f.Ends("completed", 1, waits)
				failed := f.Submit(fleettest.FailsOnce, daemontest.OnceOnly, daemontest.Retries(3))
				f.Ends("completed", 2, failed) // its caller asked for that
			})
		})
	}
}

// An attempt that has timed out has used up its retry also while it does not stop.
func TestAnAttemptThatDoesNotStopCountsOverADeathOfTheDaemon(t *testing.T) {
	c := daemontest.One(1, 2)
	c.Limits.FenceTimeout = 2 * time.Hour
	daemontest.Keeping(t, c, func(f *daemontest.Farm) {
		f.Submit(fleettest.Sleeps, daemontest.Params("1h")) // for which its worker is kept
		id := f.Submit(fleettest.Stubborn, daemontest.Within(time.Minute), daemontest.Retries(1))
		f.Pass(10 * time.Minute)
		f.Are(task.Running, id)
		f.Crash()
		f.Ends("timed_out", 2, id)
	})
}

func TestATaskOfWhichDaemonsDieIsPoison(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Sleeps, daemontest.Retries(5))
		f.Crash()
		f.Pass(ledger.Doubt)
		f.Are(task.Running, id)
		f.Crash()
		f.Ends("worker_lost", 2, id)
		f.Logged("poison: the daemon died of this task")
		if n := f.Figure("poisoned_tasks"); n != 1 {
			t.Errorf("%d tasks are taken for poison", n)
		}
		if r := f.Result(id); !strings.Contains(r.Error.Message, "the daemon died") {
			t.Error(r.Error.Message)
		}
	})
}

// Somebody kills one daemon after the other, each soon after its start: what runs then has
// nothing to do with it, alone or beside those that are new.
func TestDaemonsThatDieAtTheirStartsMakeNobodyPoison(t *testing.T) {
	for _, others := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			daemontest.Keeping(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
				id := f.Submit(fleettest.Sleeps, daemontest.Params("2s"))
				for range 10 {
					f.Many(others, fleettest.Sleeps, daemontest.Params("500ms"))
					f.Pass(time.Second)
					f.Crash()
				}
				f.Pass(time.Minute)
				f.Are(task.Completed, id)
				f.Blameless()
			})
		})
	}
}

// The deaths of a worker and of the daemon count alike, and over restarts.
func TestADeathOfItsWorkerIsRememberedByTheNextDaemon(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Sleeps)
		f.Ready("p-0").Die("exit status 1")
		f.Pass(time.Second)
		f.Restart()
		f.Are(task.Running, id)
		f.Ready("p-0").Die("exit status 1")
		f.Ends("worker_lost", 3, id)
	})
}

func TestAStopInOrderBlamesNobody(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
		for range 4 {
			f.Restart()
			f.Are(task.Running, id)
		}
		f.Ends("completed", 5, id)
	})
}

func TestADeathOfTheDaemonCostsNoneOfManyAnything(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 8), func(f *daemontest.Farm) {
		ids := f.Many(8, fleettest.Sleeps, daemontest.Params("1m"))
		f.Crash()
		f.Are(task.Running, ids...)
		f.Ends("completed", 2, ids...)
		f.Blameless()
	})
}

// One of them may be a killer; and what has not run with two daemons goes on beside them.
func TestWhatRanWithTwoDaemonsThatDiedRunsOneAtATime(t *testing.T) {
	c := daemontest.One(1, 8)
	daemontest.Keeping(t, c, func(f *daemontest.Farm) {
		ids := f.Many(3, fleettest.Sleeps, daemontest.Params("1m"), daemontest.Retries(1))
		f.Crash()
		f.Crash()
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		f.Are(task.Running, ids[0])
		f.Are(task.Pending, ids[1], ids[2])
		if err := f.Cancel(ids[1]); err != nil {
			t.Fatal(err)
		}
		f.Ends("cancelled", 2, ids[1])
		f.Are(task.Pending, ids[2])
		f.Ends("completed", 3, ids[0])
		f.Are(task.Running, ids[2])
		f.Ends("completed", 3, ids[2])
	})
}

// Who waits for its next attempt keeps nobody from running, and still runs alone then.
func TestATurnIsPassedOnWhileItsTaskWaitsForARetry(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 3), func(f *daemontest.Farm) {
		first := f.Submit(fleettest.Sleeps, daemontest.Within(5*time.Minute), daemontest.Retries(1), func(k *task.Task) { k.Extra.RetryBackoff = task.Duration(time.Hour) })
		second := f.Submit(fleettest.Sleeps, daemontest.Params("90m"))
		f.Crash()
		f.Crash()
		f.Are(task.Running, first)
		f.Are(task.Pending, second)
		f.Pass(10 * time.Minute)
		f.Are(task.Pending, first)
		f.Are(task.Running, second)
		f.Pass(61 * time.Minute)
		f.Are(task.Pending, first)
		f.Ends("completed", 3, second)
		f.Ends("timed_out", 4, first)
	})
}

// Its time is over, and its place not free: the next one's turn begins with its end.
func TestATurnIsOverOnceItsTaskHasStopped(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 3), func(f *daemontest.Farm) {
		first := f.Submit(fleettest.Stubborn, daemontest.Within(time.Minute))
		second := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
		f.Crash()
		f.Crash()
		neighbour := f.Submit(fleettest.Sleeps, daemontest.Params("70s"))
		f.Ends("timed_out", 3, first)
		f.Are(task.Pending, second)
		f.Ends("completed", 1, neighbour)
		f.Pass(time.Second)
		f.Are(task.Running, second)
	})
}

func TestCursorsGoOnOverRestarts(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
		f.Submit(fleettest.Sleeps) // so that nobody is to blame
		last := task.Cursor{}
		follow := func() (got int) {
			ctx, cancel := context.WithTimeout(f.Context(), time.Millisecond)
			defer cancel()
			events, err := f.Events(ctx, daemontest.Who(), id, last)
			if err != nil {
				t.Fatal(err)
			}
			for ev, err := range events {
				if err != nil {
					break
				}
				if ev.Cursor.Compare(last) <= 0 {
					t.Errorf("%+v comes after %+v", ev.Cursor, last)
				}
				last = ev.Cursor
				got++
			}
			return got
		}
		for _, end := range []func(){f.Crash, f.Restart, func() { f.Ready("p-0").Die("exit status 1"); f.Pass(5 * time.Second) }, f.Crash} {
			if follow() == 0 {
				t.Errorf("nothing is told after %+v", last)
			}
			end()
		}
		f.Pass(2 * time.Minute)
		if follow() == 0 {
			t.Error("its end is not told")
		}
	})
}
