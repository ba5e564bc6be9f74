package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"
)

// program makes an executable file, of which fakes run nothing.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!"+name), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// swap has the farm's executor run another program, and waits for the end.
func swap(f *daemontest.Farm, req api.SwapRequest) (api.ExecutorStatus, error) {
	status, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &req, time.Hour)
	f.Pass(0)
	return status, err
}

// swapState reports the last swap.
func swapState(f *daemontest.Farm) api.SwapStatus {
	f.Helper()
	s := f.Engine.Executors()[0].Swap
	if s == nil {
		f.Fatal("there was no swap")
	}
	return *s
}

// allRun: the workers with these ids run a program, and no other is ready.
func allRun(f *daemontest.Farm, command string, ids ...string) {
	f.Helper()
	if got := f.IDs(); got != fmt.Sprint(ids) {
		f.Errorf("ready are %s, not %s", got, ids)
	}
	for _, id := range ids {
		if got := f.Ready(id).Spec.Command; got != command {
			f.Errorf("%s runs %s, not %s", id, got, command)
		}
	}
}

func TestASwapAndItsRollbackExchangeAllWorkersAndRerunNothing(t *testing.T) {
	next := program(t, "next")
	c := daemontest.One(2, 2)
	c.Limits.FenceTimeout = 0
	daemontest.On(t, c, func(f *daemontest.Farm) {
		runs := f.Many(4, fleettest.Sleeps, daemontest.Params("1h"))
		waits := f.Many(4, fleettest.Sleeps, daemontest.Params("1s"))
		status, err := swap(f, api.SwapRequest{Command: next})
		if err != nil || status.Command != next || status.BeforeCommand != daemontest.Program || status.Swap.State != api.SwapDone || status.Swap.Ended == nil {
			t.Fatalf("%+v %v", status, err)
		}
		allRun(f, next, "p-0", "p-1")
		f.Ends("completed", 1, waits...)
		if f.Pass(30 * time.Minute); f.States("p-0") != "ready draining" {
			t.Errorf("what runs was cut off: %s", f.States("p-0"))
		}
		f.Are(task.Running, runs...)
		f.Ends("completed", 1, runs...)
		if status, err = f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour); err != nil || status.Command != daemontest.Program || status.Swap.By != "rollback" {
			t.Fatalf("%+v %v", status, err)
		}
		f.Pass(10 * time.Second)
		allRun(f, daemontest.Program, "p-0", "p-1")
		if _, err = f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour); !errors.Is(err, api.ErrSwapConflict) {
			t.Errorf("a second rollback: %v", err)
		}
		f.Blameless()
	})
}

func TestASwapThatDoesNotStartLeavesAllAsItWas(t *testing.T) {
	next := program(t, "next")
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		f.Launcher.Refuse(func(s supervisor.Spec) error {
			if s.Command == next {
				return errors.New("exits at once")
			}
			return nil
		})
		_, err := swap(f, api.SwapRequest{Command: next})
		if s := swapState(f); !errors.Is(err, api.ErrSwapFailed) || s.State != api.SwapWentBack || !strings.Contains(s.Why, "exits at once") || s.Persists {
			t.Errorf("%+v %v", s, err)
		}
		allRun(f, daemontest.Program, "p-0", "p-1")
		if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", 0); !errors.Is(err, api.ErrSwapConflict) {
			t.Errorf("there is nothing to go back to: %v", err)
		}
		if x := f.Engine.Executors()[0]; x.Command != daemontest.Program || x.BeforeCommand != "" {
			t.Errorf("%+v", x)
		}
	})
}

// All or nothing, also once workers are being exchanged.
func TestASwapGoesBackWhenAWorkerCannotBeExchanged(t *testing.T) {
	next := program(t, "next")
	daemontest.On(t, daemontest.One(3, 1), func(f *daemontest.Farm) {
		starts := 0
		f.Launcher.Refuse(func(s supervisor.Spec) error {
			if s.Command == next {
				starts++
			}
			if starts > 2 && s.Command == next {
				return errors.New("out of processes")
			}
			return nil
		})
		_, err := swap(f, api.SwapRequest{Command: next})
		if s := swapState(f); !errors.Is(err, api.ErrSwapFailed) || s.State != api.SwapWentBack || !strings.Contains(s.Why, "out of processes") {
			t.Errorf("%+v %v", s, err)
		}
		f.Pass(10 * time.Second)
		allRun(f, daemontest.Program, "p-0", "p-1", "p-2")
	})
}

func TestASwapRunsTheProbeBeforeAnythingElse(t *testing.T) {
	next := program(t, "next")
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		probe := func(script string) []byte {
			return fmt.Appendf(nil, `{"script_path": %q, "params": "10s", "timeout": "1m"}`, filepath.Join(f.Dir, script))
		}
		for script, words := range map[string]string{fleettest.Fails: "probe task: it has failed", fleettest.Crashes: "probe task: the worker ended",
			fleettest.Stubborn: "did not end within its timeout of 1m", fleettest.Unrunnable: "probe task: it has failed", fleettest.Spends: "can run nothing more"} {
			_, err := swap(f, api.SwapRequest{Command: next, Probe: probe(script)})
			if !errors.Is(err, api.ErrSwapFailed) || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v", script, err)
			}
			allRun(f, daemontest.Program, "p-0")
		}
		began := time.Now()
		if _, err := swap(f, api.SwapRequest{Command: next, Probe: probe(fleettest.Sleeps)}); err != nil || time.Since(began) < 10*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		allRun(f, next, "p-0")
		f.Ends("completed", 1, f.Many(3, fleettest.Echo)...) // the slot goes on after the probe
		f.Blameless()
	})
}

func TestASwapThatMakesNoSenseIsRefused(t *testing.T) {
	next := program(t, "next")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	zero := task.Duration(0)
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		for _, c := range []struct {
			req   api.SwapRequest
			kind  error
			words string
		}{
			{api.SwapRequest{}, api.ErrSwapInvalid, "must be a file name"},
			{api.SwapRequest{Command: "bin/next"}, api.ErrSwapInvalid, "absolute path"},
			{api.SwapRequest{Command: next, SHA256: "ab"}, api.ErrSwapInvalid, "64 hexadecimal digits"},
			{api.SwapRequest{Command: next, Canary: "60%"}, api.ErrSwapInvalid, `at most "50%"`},
			{api.SwapRequest{Command: next, For: &zero}, api.ErrSwapInvalid, "more than 0"},
			{api.SwapRequest{Command: next, Probe: []byte(`{"priority": 1}`)}, api.ErrSwapInvalid, `no field "priority"`},
			{api.SwapRequest{Command: next, Probe: []byte(`{}`)}, api.ErrSwapInvalid, "script_path"},
			{api.SwapRequest{Command: "/nowhere"}, api.ErrSwapFailed, "no such file"},
			{api.SwapRequest{Command: text}, api.ErrSwapFailed, "not an executable"},
			{api.SwapRequest{Command: next, SHA256: strings.Repeat("0", 64)}, api.ErrSwapFailed, "the sha256 of"},
			{api.SwapRequest{Command: daemontest.Program}, api.ErrSwapConflict, "already"},
		} {
			if _, err := swap(f, c.req); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%+v: %v", c.req, err)
			}
		}
		if _, err := f.Engine.Swap(f.Context(), daemontest.Who(), "banana", &api.SwapRequest{Command: next}, 0); !errors.Is(err, api.ErrNoExecutor) || !strings.Contains(err.Error(), "fake") {
			t.Error(err)
		}
		if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "banana", 0); !errors.Is(err, api.ErrNoExecutor) {
			t.Error(err)
		}
		nobody := access.Identity{UID: 4711}
		if _, err := f.Engine.Swap(f.Context(), nobody, "fake", &api.SwapRequest{Command: next}, 0); !errors.Is(err, access.ErrDenied) {
			t.Error(err)
		}
		if _, err := f.Engine.Rollback(f.Context(), nobody, "fake", 0); !errors.Is(err, access.ErrDenied) {
			t.Error(err)
		}
		if f.Engine.Executors()[0].Swap != nil || len(f.Launcher.All()) != 1 {
			t.Errorf("something was begun: %s", f.Launcher)
		}
	})
}

func TestOneChangeOfTheWorkersAtATime(t *testing.T) {
	next, third := program(t, "next"), program(t, "third")
	c := daemontest.One(1, 1)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Launcher.Takes(time.Minute)
		status, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: next}, time.Second)
		if err != nil || status.Swap.State != api.SwapStarting {
			t.Fatalf("%+v %v", status.Swap, err)
		}
		for what, err := range map[string]error{"a swap": func() error { _, err := swap(f, api.SwapRequest{Command: third}); return err }(), "a reload": f.Reload(c)} {
			if !errors.Is(err, api.ErrSwapConflict) || !strings.Contains(err.Error(), "is being swapped (starting)") {
				t.Errorf("%s: %v", what, err)
			}
		}
		status, err = f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", time.Hour)
		if err != nil || status.Swap.State != api.SwapWentBack || !strings.Contains(status.Swap.Why, "rollback") {
			t.Errorf("%+v %v", status.Swap, err)
		}
		allRun(f, daemontest.Program, "p-0")
		f.Launcher.Takes(0)
		if _, err := swap(f, api.SwapRequest{Command: third}); err != nil {
			t.Error(err)
		}
		allRun(f, third, "p-0")
	})
}

func TestADaemonThatStopsEndsASwap(t *testing.T) {
	next := program(t, "next")
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Launcher.Takes(time.Minute)
		if _, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: next}, time.Second); err != nil {
			t.Fatal(err)
		}
		f.Stop()
		if s := swapState(f); s.State != api.SwapWentBack || !strings.Contains(s.Why, "the daemon stops") {
			t.Errorf("%+v", s)
		}
	})
}

func TestAProgramIsSwappedByAReloadAndStaysUntilTheConfigurationChanges(t *testing.T) {
	first, second, third := program(t, "first"), program(t, "second"), program(t, "third")
	c := daemontest.One(2, 1)
	says := func(command string) func(f *daemontest.Farm) {
		return func(f *daemontest.Farm) {
			f.Helper()
			n := daemontest.One(2, 1)
			n.Executors[0].Command = command
			if err := f.Reload(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		says(first)(f)
		if s := swapState(f); s.By != "reload" || s.State != api.SwapDone || s.Command != first || s.BeforeCommand != daemontest.Program {
			t.Errorf("%+v", s)
		}
		allRun(f, first, "p-0", "p-1")
		if _, err := swap(f, api.SwapRequest{Command: second}); err != nil {
			t.Fatal(err)
		}
		says(first)(f) // as before
		allRun(f, second, "p-0", "p-1")
		f.Logged(second + " runs, and not " + first)
		says(third)(f)
		allRun(f, third, "p-0", "p-1")
		f.Logged("the configuration has changed since, and " + third + " runs as it says")
		if x := f.Engine.Executors()[0]; x.BeforeCommand != second {
			t.Errorf("%+v", x)
		}
		says(second)(f)
		says(second)(f)
		allRun(f, second, "p-0", "p-1")
	})
}

func TestAProgramReplacedAtItsPathIsSwappedByAReload(t *testing.T) {
	path := program(t, "same")
	c := daemontest.One(1, 1)
	c.Executors[0].Command = path
	daemontest.On(t, c, func(f *daemontest.Farm) {
		old := f.Ready("p-0")
		next := path + ".new"
		if err := errors.Join(os.WriteFile(next, []byte("#!another"), 0o700), os.Rename(next, path)); err != nil {
			t.Fatal(err)
		}
		if err := f.Reload(c); err != nil {
			t.Fatal(err)
		}
		if s := swapState(f); s.State != api.SwapDone || s.Command != path || s.BeforeCommand != path || s.SHA256 == s.BeforeSHA256 || f.Ready("p-0") == old {
			t.Errorf("%+v", s)
		}
	})
}

func TestAnExecutorWithoutPoolsIsNotSwapped(t *testing.T) {
	next := program(t, "next")
	c := daemontest.One(1, 1)
	other := c.Executors[0]
	other.Name = "unused"
	c.Executors = append(c.Executors, other)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		_, err := f.Engine.Swap(f.Context(), daemontest.Who(), "unused", &api.SwapRequest{Command: next}, time.Hour)
		if x := f.Engine.Executors()[1]; !errors.Is(err, api.ErrSwapConflict) || !strings.Contains(err.Error(), "no pool uses") || x.Command != daemontest.Program || x.Swap != nil {
			t.Errorf("%+v %v", x, err)
		}
	})
}
