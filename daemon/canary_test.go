package daemon_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// trial is a farm with a swap under way whose canary gets a share.
type trial struct {
	*daemontest.Farm
	next string
	// ran counts the tasks that the new program has begun.
	ran atomic.Int64
}

// onTrial runs a test while the canary has its hour.
func onTrial(t *testing.T, c *config.Config, share string, acts func(*plugins.Task) *plugins.Task, test func(x *trial)) {
	t.Helper()
	next := program(t, "next")
	daemontest.On(t, c, func(f *daemontest.Farm) {
		x := &trial{Farm: f, next: next}
		f.Launcher.Acts = func(s supervisor.Spec, k *plugins.Task) *plugins.Task {
			if s.Command != next {
				return k
			}
			x.ran.Add(1)
			return acts(k)
		}
		hour := task.Duration(time.Hour)
		status, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: next, Canary: share, For: &hour}, time.Second)
		if err != nil || status.Swap.State != api.SwapCanary || status.Swap.Canary == nil || status.Swap.Canary.SecondsLeft != 3599 {
			t.Fatalf("%+v %v", status.Swap, err)
		}
		test(x)
	})
}

// alike is a new program that does what the old one does.
func alike(k *plugins.Task) *plugins.Task { return k }

// as has a new program run another script.
func as(script string) func(*plugins.Task) *plugins.Task {
	return func(k *plugins.Task) *plugins.Task {
		n := *k
		n.ScriptPath = script
		return &n
	}
}

// over waits for the end of the swap.
func (x *trial) over() api.SwapStatus {
	x.Helper()
	for range 200 {
		if s := swapState(x.Farm); s.State.Ended() {
			return s
		}
		x.Pass(time.Minute)
	}
	x.Fatalf("it goes on: %+v", swapState(x.Farm))
	return api.SwapStatus{}
}

// stays: the old program has all tasks, and nothing is left of the new one.
func (x *trial) stays(words string) {
	x.Helper()
	x.wentBack(words)
	x.Blameless()
}

// wentBack is stays, where somebody is to blame.
func (x *trial) wentBack(words string) {
	x.Helper()
	if s := x.over(); s.State != api.SwapWentBack || !strings.Contains(s.Why, words) {
		x.Errorf("%+v does not say %q", s, words)
	}
	x.Pass(10 * time.Second)
	allRun(x.Farm, daemontest.Program, "p-0", "p-1")
	for _, p := range x.Launcher.Living() {
		if p.Spec.Command == x.next {
			x.Errorf("a canary lives on: %s", x.Launcher)
		}
	}
	before := x.ran.Load()
	if x.Ends("completed", 1, x.Many(20, fleettest.Echo)...); x.ran.Load() != before {
		x.Error("the new program gets tasks")
	}
}

func TestACanaryGetsItsShareAndThenAll(t *testing.T) {
	for share, want := range map[string]int64{"10%": 20, "50%": 100, "1%": 2} {
		t.Run(share, func(t *testing.T) {
			onTrial(t, daemontest.One(2, 1), share, alike, func(x *trial) {
				if got := x.IDs(); got != "[p-0 p-1 p-canary p-control]" {
					t.Errorf("ready are %s", got)
				}
				if a, b := x.Workers("p-canary")[0], x.Workers("p-control")[0]; a.Trial != "canary" || b.Trial != "control" || a.Executor != "fake" ||
					x.Ready("p-canary").Spec.Command != x.next || x.Ready("p-control").Spec.Command != daemontest.Program {
					t.Errorf("%+v %+v", a, b)
				}
				for n := range int64(200) {
					if x.ran.Load()*100 > n*100*want/200 {
						t.Fatalf("of %d tasks the canary ran %d", n, x.ran.Load())
					}
					x.Ends("completed", 1, x.Submit(fleettest.Echo))
				}
				if got := x.ran.Load(); got != want {
					t.Errorf("of 200 tasks the canary ran %d, not %d", got, want)
				}
				if c := swapState(x.Farm).Canary; int64(c.Tasks) != want || int64(c.Others) != 200-want || c.Failed != 0 || c.Share == 0 {
					t.Errorf("%+v", c)
				}
				if s := x.over(); s.State != api.SwapDone || int64(s.Canary.Tasks) != want || s.Canary.SecondsLeft != 0 {
					t.Errorf("%+v", s)
				}
				x.Pass(10 * time.Second)
				allRun(x.Farm, x.next, "p-0", "p-1")
				x.Blameless()
			})
		})
	}
}

// Nobody waits for a canary: it is beside the seats, and what it can't take others do.
func TestACanaryTakesNothingFromTheOthers(t *testing.T) {
	onTrial(t, daemontest.One(2, 1), "50%", alike, func(x *trial) {
		x.Ends("completed", 1, x.Submit(fleettest.Echo)) // which makes room in its share
		runs := x.Many(4, fleettest.Sleeps)              // one in each worker
		x.Are(task.Running, runs...)
		more := x.Submit(fleettest.Sleeps)
		x.Are(task.Queued, more)
		if busy := fmt.Sprint(x.Workers("p-0")[0].SlotsBusy, x.Workers("p-1")[0].SlotsBusy, x.Workers("p-canary")[0].SlotsBusy, x.Workers("p-control")[0].SlotsBusy); busy != "1 1 1 1" {
			t.Errorf("busy are %s", busy)
		}
		x.Ends("completed", 1, append(runs, more)...)
	})
}

func TestACanaryThatIsWorseGoesBack(t *testing.T) {
	for name, c := range map[string]struct {
		acts  func(*plugins.Task) *plugins.Task
		words string
		how   string // the tasks that it had end
	}{
		"dies":         {as(fleettest.Crashes), "died: signal: segmentation fault", "completed"},
		"fails them":   {as(fleettest.Fails), "more failures", "exception"},
		"is slower":    {func(k *plugins.Task) *plugins.Task { n := *k; n.Params = []byte(`"15s"`); return &n }, "slower", "completed"},
		"can't":        {as(fleettest.Unrunnable), "failed a task itself: OSError", "completed"},
		"can't after":  {as(fleettest.Unanswerable), "failed a task itself: OSError", "completed"},
		"is spent":     {as(fleettest.Spends), "can't run tasks any more", "completed"},
		"stands still": {as(fleettest.Freezes), "did not answer", "completed"},
	} {
		t.Run(name, func(t *testing.T) {
			onTrial(t, daemontest.One(2, 1), "20%", c.acts, func(x *trial) {
				tries, bad := 0, 0
				for ; !swapState(x.Farm).State.Ended() && tries < 400; tries++ {
					r := x.Result(x.Submit(fleettest.Sleeps, daemontest.Params("10s")))
					if r.Attempts != 1 && !(r.Attempts == 2 && (name == "dies" || name == "can't after" || name == "stands still")) {
						t.Errorf("%d attempts: %+v", r.Attempts, r.Error)
					}
					if r.Status != task.Completed {
						bad++
					}
				}
				if limit := tries / 5; bad > limit || c.how == "completed" && bad > 0 {
					t.Errorf("%d of %d failed", bad, tries)
				}
				t.Logf("%d tasks, %d failed, %d in the canary", tries, bad, x.ran.Load())
				x.stays(c.words)
			})
		})
	}
}

func TestACanaryWhoseSlotIsBrokenGoesBack(t *testing.T) {
	onTrial(t, daemontest.One(2, 1), "50%", alike, func(x *trial) {
		x.Ready("p-canary").Tell(0, plugins.Event{Kind: plugins.EventEnded, Seq: 77})
		x.stays("broke its slot 0")
	})
}

// The control is a worker of the old program: what it does says nothing of the new one.
func TestAControlThatDiesIsReplaced(t *testing.T) {
	onTrial(t, daemontest.One(2, 1), "50%", alike, func(x *trial) {
		old := x.Ready("p-control")
		old.Die("signal: killed")
		x.Pass(time.Second)
		if x.Ready("p-control") == old || swapState(x.Farm).State != api.SwapCanary {
			t.Errorf("%+v", swapState(x.Farm))
		}
		if s := x.over(); s.State != api.SwapDone {
			t.Errorf("%+v", s)
		}
	})
}

// The tasks of a canary that dies are not suspects, and run again. Those that must not run
// twice don't meet it.
func TestACanarysDeathIsNotItsTasks(t *testing.T) {
	onTrial(t, daemontest.One(2, 4), "50%", alike, func(x *trial) {
		x.Ends("completed", 1, x.Submit(fleettest.Echo))
		once := x.Submit(fleettest.Sleeps, daemontest.OnceOnly)
		again := x.Submit(fleettest.Sleeps)
		canary := x.Ready("p-canary")
		if n := x.Workers("p-canary")[0].SlotsBusy; n != 1 {
			t.Fatalf("%d run in the canary", n)
		}
		canary.Die("signal: killed")
		x.Pass(0)
		x.Ends("completed", 1, once)
		x.Ends("completed", 2, again)
		x.stays("died: signal: killed")
		if n := x.Figure("poisoned_tasks"); n != 0 {
			t.Errorf("%d are blamed", n)
		}
	})
}

func TestACanaryWithoutTasksGoesOn(t *testing.T) {
	onTrial(t, daemontest.One(2, 1), "10%", alike, func(x *trial) {
		if s := x.over(); s.State != api.SwapDone || s.Canary.Tasks != 0 {
			t.Errorf("%+v", s)
		}
		allRun(x.Farm, x.next, "p-0", "p-1")
	})
}

func TestARollbackEndsACanaryAndWhatRunsInItEnds(t *testing.T) {
	c := daemontest.One(2, 1)
	c.Limits.FenceTimeout = 0
	onTrial(t, c, "50%", alike, func(x *trial) {
		x.Ends("completed", 1, x.Submit(fleettest.Echo))
		runs := x.Many(4, fleettest.Sleeps, daemontest.Params("3h"))
		x.Are(task.Running, runs...)
		status, err := x.Engine.Rollback(x.Context(), daemontest.Who(), "fake", time.Hour)
		if err != nil || status.Swap.State != api.SwapWentBack || !strings.Contains(status.Swap.Why, "rollback") {
			t.Fatalf("%+v %v", status.Swap, err)
		}
		x.Pass(time.Hour)
		if x.States("p-canary") != "draining" || x.States("p-control") != "draining" {
			t.Errorf("%s, %s", x.States("p-canary"), x.States("p-control"))
		}
		x.Ends("completed", 1, runs...)
		x.stays("rollback")
	})
}

func TestASuspectNeverGoesToACanary(t *testing.T) {
	onTrial(t, daemontest.One(2, 1), "50%", alike, func(x *trial) {
		runs := x.Submit(fleettest.Sleeps, daemontest.Params("10s"))
		x.Launcher.Takes(time.Minute)
		crashes := x.Submit(fleettest.CrashesOften)
		x.Ends("completed", 1, runs) // which makes room in the canary's share, while the suspect waits
		if r := x.Result(crashes); r.Attempts != 2 || x.ran.Load() != 0 || swapState(x.Farm).State != api.SwapCanary {
			t.Errorf("it ran %d times, %d of them in the canary: %+v", r.Attempts, x.ran.Load(), swapState(x.Farm))
		}
	})
}

func TestAReloadTriesAProgramAsItsBlockSays(t *testing.T) {
	next := program(t, "next")
	c := daemontest.One(2, 1)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		n := daemontest.One(2, 1)
		n.Executors[0].Command = next
		n.Executors[0].Trial = config.Trial{Canary: 0.1, CanaryFor: time.Hour}
		began := time.Now()
		if err := f.Reload(n); err != nil || time.Since(began) != time.Hour {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		allRun(f, next, "p-0", "p-1")
		f.Launcher.Acts = func(s supervisor.Spec, k *plugins.Task) *plugins.Task {
			if s.Command == daemontest.Program {
				return as(fleettest.Crashes)(k)
			}
			return k
		}
		back := daemontest.One(2, 1)
		back.Executors[0].Trial = config.Trial{Canary: 0.5, CanaryFor: time.Hour}
		back.Pools[0].Nice = 3 // all or nothing
		reloaded := make(chan error)
		reload := f.Offer(back)
		go func() { reloaded <- reload() }()
		f.Pass(time.Second)
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		f.Ends("completed", 2, f.Submit(fleettest.Echo))
		if err := <-reloaded; !errors.Is(err, api.ErrReload) || !strings.Contains(err.Error(), "died: signal: segmentation fault") {
			t.Errorf("%v", err)
		}
		f.Pass(time.Second)
		allRun(f, next, "p-0", "p-1")
		if nice := f.Ready("p-0").Spec.Limits.Nice; nice != 0 {
			t.Errorf("nice is %d", nice)
		}
	})
}

func TestEveryPoolOfAnExecutorHasACanary(t *testing.T) {
	c := daemontest.One(2, 1)
	c.Pools = append(c.Pools, c.Pools[0])
	c.Pools[1].Name, c.Pools[1].Workers, c.Pools[1].AsyncConcurrency = "q", 1, 4
	onTrial(t, c, "50%", alike, func(x *trial) {
		if got := x.IDs(); got != "[p-0 p-1 p-canary p-control q-0 q-canary q-control]" {
			t.Errorf("ready are %s", got)
		}
		inQ := func(k *task.Task) { k.Pool = "q" }
		x.Ends("completed", 1, x.Many(10, fleettest.Echo, inQ)...)
		if got := x.ran.Load(); got != 5 {
			t.Errorf("the canary ran %d", got)
		}
		x.Ready("q-canary").Die("signal: killed")
		x.Pass(10 * time.Second)
		if s := x.over(); s.State != api.SwapWentBack || x.IDs() != "[p-0 p-1 q-0]" {
			t.Errorf("%+v, ready are %s", s, x.IDs())
		}
	})
}

func TestADaemonThatStopsEndsACanary(t *testing.T) {
	onTrial(t, daemontest.One(2, 1), "50%", alike, func(x *trial) {
		x.Many(8, fleettest.Sleeps)
		x.Stop()
		if s := swapState(x.Farm); s.State != api.SwapWentBack || !strings.Contains(s.Why, "the daemon stops") {
			t.Errorf("%+v", s)
		}
	})
}
