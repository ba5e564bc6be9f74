package fleet_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// An executor that does not keep to the contract, and shares no claims: nothing but its words
// says what has become of a task. What executors say in words that can't be is in package
// plugins; which test covers which way to misbehave is listed in docs.

// wrong is a farm of one worker without claims whose first task, of two, has been sent.
func wrong(t *testing.T, test func(f *daemontest.Farm, p *fleettest.Process, once, again task.ID)) {
	t.Helper()
	daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		f.Launcher.NoClaims()
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Second)
		p := f.Ready("p-0")
		p.Pause()
		once, again := f.Submit(fleettest.Echo, daemontest.OnceOnly), f.Submit(fleettest.Echo)
		test(f, p, once, again)
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
	})
}

// replaced: the worker has ended, the log says why, and the status does for a while.
func replaced(f *daemontest.Farm, p *fleettest.Process, why string) {
	f.Helper()
	f.Pass(time.Second)
	if f.Logged(why); !p.Ended() || f.Ready("p-0") == p {
		f.Errorf("the worker is there: %s", f.Launcher)
	}
}

func says(f *daemontest.Farm, p *fleettest.Process, slot int, kind plugins.Kind, change func(ev *plugins.Event)) {
	ev := plugins.Event{Kind: kind, Seq: 1}
	if change != nil {
		change(&ev)
	}
	p.Tell(slot, ev)
	synctest.Wait()
}

func TestATaskThatIsSkippedWithoutADrainGoesOnAndTheWorkerIsReplaced(t *testing.T) {
	wrong(t, func(f *daemontest.Farm, p *fleettest.Process, once, again task.ID) {
		says(f, p, 0, plugins.EventSkipped, nil)
		f.Ends("completed", 1, once)
		replaced(f, p, "the worker has skipped a task that nobody took back, though it does not drain")
		p.GoOn()
		f.Ends("completed", 1, again)
	})
}

// The slot of a loop is as good as a thread's.
func TestALoopThatSkipsATaskWithoutADrainIsReplaced(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Pools[0].AsyncConcurrency = 1
	daemontest.On(t, c, func(f *daemontest.Farm) {
		p := f.Ready("p-0")
		p.Pause()
		id := f.Submit(fleettest.Echo)
		says(f, p, 1, plugins.EventSkipped, nil)
		f.Ends("completed", 1, id)
		replaced(f, p, "though it does not drain")
	})
}

// What may have run does not run again where it must not, whatever the executor says of it.
func TestWhatHasBegunIsNotTakenForWhatHasNot(t *testing.T) {
	for name, x := range map[string]struct {
		says func(f *daemontest.Farm, p *fleettest.Process, once task.ID)
		log  string
		ends string
	}{
		"Started, and then Skipped": {func(f *daemontest.Farm, p *fleettest.Process, _ task.ID) {
			says(f, p, 0, plugins.EventStarted, nil)
			says(f, p, 0, plugins.EventSkipped, nil)
		}, "Skipped of task 1, which has begun", "worker_lost"},
		"an event, and then Skipped": {func(f *daemontest.Farm, p *fleettest.Process, _ task.ID) {
			says(f, p, 0, plugins.EventProgress, nil)
			says(f, p, 0, plugins.EventSkipped, func(ev *plugins.Event) { ev.NeedsThread = true })
		}, "Skipped of task 1, which has begun", "worker_lost"},
		"an event, and no Started": {func(f *daemontest.Farm, p *fleettest.Process, _ task.ID) {
			says(f, p, 0, plugins.EventLog, nil)
			p.Die("signal: segmentation fault")
		}, "worker died", "worker_lost"},
		"Started, and then recalled": {func(f *daemontest.Farm, p *fleettest.Process, once task.ID) {
			says(f, p, 0, plugins.EventStarted, nil)
			p.AnswersWith(plugins.Recalled)
			go func() { _ = f.Cancel(once) }()
			synctest.Wait()
		}, "task 1 is said to have been recalled, and has begun", "cancelled"},
		"claimed, and then nothing": {func(f *daemontest.Farm, p *fleettest.Process, _ task.ID) {
			p.AnswersWith(plugins.Claimed)
			go func() { _ = f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0") }() // it is asked for what it has not begun
			f.Pass(time.Second)
			p.Die("signal: segmentation fault")
		}, "worker died", "worker_lost"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong(t, func(f *daemontest.Farm, p *fleettest.Process, once, again task.ID) {
				x.says(f, p, once)
				f.Ends(x.ends, 1, once)
				replaced(f, p, x.log)
				if r := f.Result(again); r.Status != task.Completed {
					f.Errorf("another's task: %+v", r)
				}
			})
		})
	}
}

func TestWordsThatDoNotSuitTheTaskCostTheWorker(t *testing.T) {
	for name, x := range map[string]struct {
		says func(f *daemontest.Farm, p *fleettest.Process, once task.ID)
		log  string
		ends string
	}{
		"a thread needs a thread": {func(f *daemontest.Farm, p *fleettest.Process, _ task.ID) {
			says(f, p, 0, plugins.EventSkipped, func(ev *plugins.Event) { ev.NeedsThread = true })
		}, "Skipped of task 1, which has a thread, and is said to need one", "completed"},
		"a partial value twice": {func(f *daemontest.Farm, p *fleettest.Process, _ task.ID) {
			for range 2 {
				says(f, p, 0, plugins.EventPartial, func(ev *plugins.Event) { ev.Number, ev.Value = 1, []byte("7") })
			}
		}, "Partial of task 1, with the number 1, after 1", "worker_lost"},
		"a partial value is missing": {func(f *daemontest.Farm, p *fleettest.Process, _ task.ID) {
			says(f, p, 0, plugins.EventPartial, func(ev *plugins.Event) { ev.Number, ev.Value = 2, []byte("7") })
		}, "Partial of task 1, with the number 2, after 0", ""},
		"a claim that there is not": {func(f *daemontest.Farm, p *fleettest.Process, once task.ID) {
			p.AnswersWith(7)
			go func() { _ = f.Cancel(once) }()
			synctest.Wait()
		}, "asked for task 1, it answers with claim 7", "cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong(t, func(f *daemontest.Farm, p *fleettest.Process, once, again task.ID) {
				x.says(f, p, once)
				replaced(f, p, x.log)
				if r := f.Result(once); x.ends != "" && r.Status.String() != x.ends && (r.Error == nil || r.Error.Code != x.ends) {
					f.Errorf("it ended as %s: %+v", r.Status, r.Error)
				}
				f.Ends("completed", 1, again)
				w := f.Workers("p-0")[0]
				if strings.Contains(x.log, "Partial") && (!strings.Contains(w.Degraded, x.log) || !strings.Contains(w.Degraded, daemontest.Program)) {
					f.Errorf("the status says %q", w.Degraded)
				}
			})
		})
	}
}

// What is not true of time and CPUs is not told, and decides nothing.
func TestFiguresThatCannotBeTrueAreBounded(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Launcher.Says(func(_ int, k *plugins.Task) []plugins.Event {
			return []plugins.Event{{Kind: plugins.EventEnded, Seq: k.Seq, Outcome: plugins.Outcome{Status: task.Completed, Data: []byte("1"),
				RunTime: math.MaxInt64, CPUTime: math.MaxInt64, LockWait: math.MaxInt64}}}
		})
		f.Launcher.NoClaims()
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Second)
		r := f.Result(f.Submit(fleettest.Echo, daemontest.Within(time.Hour)))
		if r.Status != task.Completed || r.RunSeconds > 1 || r.LockSeconds > 1 || r.CPUSeconds > 4096 {
			f.Errorf("%+v", r)
		}
	})
}

// Every task of an executor ends its worker: other pools go on, and it is not started again
// and again as fast as the machine allows.
func TestAnExecutorThatIsAlwaysWrongIsStartedEverMoreSlowlyAndOthersGoOn(t *testing.T) {
	c := daemontest.One(1, 1)
	program := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	c.Executors = append(c.Executors, config.Executor{Name: "wrong", Command: program})
	other := c.Pools[0]
	other.Name, other.Executor = "q", "wrong"
	c.Pools = append(c.Pools, other)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		in := func(pool string) daemontest.Option { return func(k *task.Task) { k.Pool = pool } }
		sound := f.Ready("p-0")
		f.Launcher.Says(func(_ int, k *plugins.Task) []plugins.Event {
			return []plugins.Event{{Kind: plugins.EventEnded, Seq: k.Seq + 1000, Outcome: plugins.Outcome{Status: task.Completed, Data: []byte("1")}}}
		})
		f.Ready("q-0").Die("signal: killed")
		f.Pass(time.Second)
		before := len(f.Launcher.All())
		ids := f.Many(20, fleettest.Echo, in("q"))
		f.Pass(time.Minute)
		if n := len(f.Launcher.All()) - before; n < 5 || n > 20 {
			f.Errorf("%d processes were started in a minute", n)
		}
		w := f.Workers("q-0")[0]
		for _, says := range []string{"crash loop", "which it was not sent", program, "executor wrong"} {
			if !strings.Contains(w.Degraded, says) {
				f.Errorf("the status does not say %q: %s", says, w.Degraded)
			}
		}
		status := f.Engine.Status(f.Context()).Components["process_pool"]
		if status.Health != "degraded" || !strings.Contains(status.Reason, program) || strings.Contains(status.PublicReason, program) {
			f.Errorf("the pool is %s: %s; %s", status.Health, status.Reason, status.PublicReason)
		}
		f.Logged("command=" + program)
		f.Ends("completed", 1, f.Submit(fleettest.Echo, in("p")))
		if f.Ready("p-0") != sound {
			f.Error("the worker of another pool was replaced")
		}
		for _, id := range ids {
			if r := f.Result(id); r.Error == nil || r.Error.Code != "worker_lost" || !strings.Contains(r.Error.Message, "which it was not sent") {
				f.Fatalf("%s %+v", r.Status, r.Error)
			}
		}
	})
}

func TestAPoolIsWellAgainAMinuteAfterABreach(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Ready("p-0").Break(0, fmt.Errorf("%w: a header of 99999999 bytes", plugins.ErrFrame))
		f.Pass(time.Second)
		if w := f.Workers("p-0")[0]; w.State != "ready" || !strings.Contains(w.Degraded, "a header of 99999999 bytes") {
			f.Errorf("%+v", w)
		}
		f.Pass(time.Minute)
		if w := f.Workers("p-0")[0]; w.Degraded != "" {
			f.Errorf("it still says %q", w.Degraded)
		}
	})
}
