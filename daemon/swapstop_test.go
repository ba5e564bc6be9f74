package daemon_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/plugins/supervisor"
)

// Whoever sees that the new program is bad while it is taken must not have to wait.
func TestASwapIsRolledBackWhileWorkersAreExchanged(t *testing.T) {
	next := program(t, "next")
	for _, after := range []time.Duration{61 * time.Second, 90 * time.Second, 150 * time.Second, 239 * time.Second} {
		daemontest.On(t, daemontest.One(4, 1), func(f *daemontest.Farm) {
			f.Launcher.Takes(time.Minute)
			status, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: next}, after)
			if err != nil || status.Swap.State != api.SwapRolling {
				t.Fatalf("%+v %v", status.Swap, err)
			}
			status, err = f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour)
			if err != nil || status.Swap.State != api.SwapWentBack || status.Command != daemontest.Program || !strings.Contains(status.Swap.Why, "rollback") {
				t.Errorf("%s: %+v %v", after, status.Swap, err)
			}
			f.Launcher.Takes(0)
			f.Pass(time.Minute)
			allRun(f, daemontest.Program, "p-0", "p-1", "p-2", "p-3")
			if _, err := swap(f, api.SwapRequest{Command: next}); err != nil { // at once
				t.Error(err)
			}
			if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour); err != nil {
				t.Error(err)
			}
			allRun(f, daemontest.Program, "p-0", "p-1", "p-2", "p-3")
		})
	}
}

// A rollback at any moment of a swap leaves the old program, whether it was stopped or done.
func TestARollbackIsNeverLost(t *testing.T) {
	next := program(t, "next")
	for range 30 {
		daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
			if _, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: next}, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour); err != nil {
				t.Fatal(err)
			}
			f.Pass(10 * time.Second)
			allRun(f, daemontest.Program, "p-0", "p-1")
		})
	}
}

func TestADaemonThatStopsEndsAnExchange(t *testing.T) {
	next := program(t, "next")
	daemontest.On(t, daemontest.One(3, 1), func(f *daemontest.Farm) {
		f.Launcher.Takes(time.Minute)
		if _, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: next}, 90*time.Second); err != nil {
			t.Fatal(err)
		}
		f.Stop()
		if s := swapState(f); s.State != api.SwapWentBack || !strings.Contains(s.Why, "the daemon stops") {
			t.Errorf("%+v", s)
		}
	})
}

// There is no old program to go back to: what is, is said.
func TestAnExchangeInPlaceThatFailsIsIncomplete(t *testing.T) {
	path := program(t, "same")
	c := daemontest.One(3, 1)
	c.Executors[0].Command = path
	daemontest.On(t, c, func(f *daemontest.Farm) {
		first, last := f.Ready("p-0"), f.Ready("p-2")
		next := path + ".new"
		if err := errors.Join(os.WriteFile(next, []byte("#!another"), 0o700), os.Rename(next, path)); err != nil {
			t.Fatal(err)
		}
		starts := 0
		f.Launcher.Refuse(func(supervisor.Spec) error {
			if starts++; starts > 1 {
				return errors.New("out of processes")
			}
			return nil
		})
		err := f.Reload(c)
		f.Pass(10 * time.Second)
		s := swapState(f)
		if !errors.Is(err, api.ErrReload) || s.State != api.SwapIncomplete || !strings.Contains(s.Why, "out of processes") || !strings.Contains(s.Why, "until they are restarted") || s.Persists || s.Ended == nil {
			t.Errorf("%+v %v", s, err)
		}
		if f.Ready("p-0") == first || f.Ready("p-2") != last {
			t.Error("the workers are not as is said")
		}
		f.Launcher.Refuse(nil)
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-2"); err != nil || f.Ready("p-2") == last {
			t.Error(err)
		}
	})
}
