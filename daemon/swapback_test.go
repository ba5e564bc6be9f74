package daemon_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// Two operators may pull the emergency brake at once.
func TestASecondRollbackJoinsTheFirst(t *testing.T) {
	next := program(t, "next")
	for _, after := range []time.Duration{0, time.Second, 61 * time.Second, 119 * time.Second} {
		daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
			if _, err := swap(f, api.SwapRequest{Command: next}); err != nil {
				t.Fatal(err)
			}
			f.Launcher.Takes(time.Minute)
			if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", after); err != nil {
				t.Fatal(err)
			}
			status, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour)
			if err != nil || status.Command != daemontest.Program || status.Swap.State != api.SwapDone || status.Swap.By != "rollback" {
				t.Errorf("%s: %+v %v", after, status.Swap, err)
			}
			f.Pass(10 * time.Second)
			allRun(f, daemontest.Program, "p-0", "p-1")
		})
	}
}

// The way back is the program that ran all tasks before: a probe that can't pass does not bar it.
func TestARollbackAndASwapWithoutAProbeRunNone(t *testing.T) {
	next := program(t, "next")
	c := daemontest.One(1, 1)
	c.Executors[0].Trial.Probe = &task.Task{ScriptPath: filepath.Join(t.TempDir(), fleettest.Fails), Timeout: task.Duration(time.Minute)}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		if _, err := swap(f, api.SwapRequest{Command: next}); !errors.Is(err, api.ErrSwapFailed) || !strings.Contains(err.Error(), "probe") {
			t.Fatalf("the configured probe passes: %v", err)
		}
		if _, err := swap(f, api.SwapRequest{Command: next, Probe: []byte("null")}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour); err != nil {
			t.Fatal(err)
		}
		allRun(f, daemontest.Program, "p-0")
	})
}

func TestASwapToAProgramThatTakesLessOfTasksIsRefused(t *testing.T) {
	next := program(t, "next")
	all := plugins.Description{CanCancel: true, HasEvents: true, TakesEnv: true, TakesCwd: true}
	for words, can := range map[string]plugins.Description{
		"lacks TASK_ENV,":              {CanCancel: true, HasEvents: true, TakesCwd: true},
		"lacks TASK_CWD,":              {CanCancel: true, HasEvents: true, TakesEnv: true},
		"lacks TASK_ENV and TASK_CWD,": {},
		"":                             {TakesEnv: true, TakesCwd: true},
	} {
		daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
			f.Launcher.Refuse(func(s supervisor.Spec) error {
				if f.Launcher.DescribesLocked(all); s.Command == next {
					f.Launcher.DescribesLocked(can)
				}
				return nil
			})
			f.Ready("p-0").Die("signal: killed") // it came before
			f.Pass(10 * time.Second)
			_, err := swap(f, api.SwapRequest{Command: next})
			if words == "" {
				if f.Logged("lacks=\"CANCEL in pool p, EVENTS in pool p\""); err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, api.ErrSwapFailed) || !strings.Contains(err.Error(), words) {
				t.Errorf("%q: %v", words, err)
			}
			allRun(f, daemontest.Program, "p-0")
			if _, err := swap(f, api.SwapRequest{Command: next, Canary: "10%"}); !errors.Is(err, api.ErrSwapFailed) {
				t.Errorf("with a canary: %v", err)
			}
		})
	}
}

// A program that takes more can be swapped for, and the way back is open.
func TestARollbackToAProgramThatTakesLessIsNotRefused(t *testing.T) {
	next := program(t, "next")
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Launcher.Describes(plugins.Description{TakesEnv: true})
		if _, err := swap(f, api.SwapRequest{Command: next}); err != nil {
			t.Fatal(err)
		}
		f.Launcher.Describes(plugins.Description{})
		if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour); err != nil {
			t.Error(err)
		}
		allRun(f, daemontest.Program, "p-0")
	})
}

// Without a canary the exchange is the trial: a new worker that fails by itself ends it.
func TestANewWorkerThatFailsDuringTheExchangeTakesTheSwapBack(t *testing.T) {
	next := program(t, "next")
	for words, fail := range map[string]func(f *daemontest.Farm){
		"worker p-0 died: signal: segmentation fault": func(f *daemontest.Farm) { f.Ready("p-0").Die("signal: segmentation fault") },
		"worker p-0 broke its slot 0":                 func(f *daemontest.Farm) { f.Ready("p-0").Tell(0, plugins.Event{Kind: plugins.EventEnded, Seq: 4711}) },
		"worker p-0 can't run tasks any more":         func(f *daemontest.Farm) { f.Many(3, fleettest.Spends) }, // one each
	} {
		daemontest.On(t, daemontest.One(3, 1), func(f *daemontest.Farm) {
			f.Launcher.Takes(time.Minute)
			status, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: next}, 90*time.Second)
			if err != nil || status.Swap.State != api.SwapRolling || status.Swap.Persists || f.Ready("p-0").Spec.Command != next {
				t.Fatalf("%+v %v", status.Swap, err)
			}
			fail(f)
			f.Pass(10 * time.Minute)
			if s := swapState(f); s.State != api.SwapWentBack || !strings.Contains(s.Why, words) {
				t.Errorf("%+v does not say %q", s, words)
			}
			allRun(f, daemontest.Program, "p-0", "p-1", "p-2")
			if n := len(slices.DeleteFunc(f.Launcher.All(), func(p *fleettest.Process) bool { return p.Spec.Command != next })); n > 3 {
				t.Errorf("the exchange went on: %s", f.Launcher)
			}
		})
	}
}

// An old worker that dies says nothing of the new program.
func TestAnOldWorkerThatDiesDuringTheExchangeDoesNotTakeTheSwapBack(t *testing.T) {
	next := program(t, "next")
	daemontest.On(t, daemontest.One(3, 1), func(f *daemontest.Farm) {
		f.Launcher.Takes(time.Minute)
		if _, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: next}, 90*time.Second); err != nil {
			t.Fatal(err)
		}
		f.Ready("p-2").Die("signal: killed")
		f.Pass(10 * time.Minute)
		if s := swapState(f); s.State != api.SwapDone {
			t.Errorf("%+v", s)
		}
		allRun(f, next, "p-0", "p-1", "p-2")
	})
}

func TestATrialWhoseControlIsLostAgainAndAgainProvesNothing(t *testing.T) {
	onTrial(t, daemontest.One(2, 1), "10%", alike, func(x *trial) {
		for range 2 {
			x.Ready("p-control").Die("signal: killed")
			x.Pass(time.Minute)
		}
		if s := swapState(x.Farm); s.State != api.SwapCanary || s.Persists || s.Persistence != "it is not done" {
			t.Fatalf("%+v", s)
		}
		x.Ready("p-control").Die("signal: killed")
		x.wentBack("there is nothing to compare with: worker p-control was lost 3 times")
	})
}

func TestATrialWhoseControlCannotBeStartedAgainProvesNothing(t *testing.T) {
	onTrial(t, daemontest.One(2, 1), "10%", alike, func(x *trial) {
		x.Launcher.Refuse(func(s supervisor.Spec) error {
			if s.ID == "p-control" {
				return errors.New("out of processes")
			}
			return nil
		})
		x.Ready("p-control").Die("signal: killed")
		x.wentBack("there is nothing to compare with: worker p-control: out of processes")
	})
}
