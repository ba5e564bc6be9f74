package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpulb/daemon"
	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// operator is an administrator whom the configuration names.
var operator = access.Identity{UID: 4711, GID: 4711}

// What runs as the daemon, perhaps as root, is root's choice: an administrator may choose
// among what others can't write.
func TestAnAdministratorMayOnlySwapToAProgramThatNobodyElseCanChange(t *testing.T) {
	safe, mine := program(t, "safe"), program(t, "mine")
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777), os.WriteFile(filepath.Join(open, "x"), nil, 0o700), os.Chmod(mine, 0o757)); err != nil {
		t.Fatal(err)
	}
	c := daemontest.One(1, 1)
	c.Access.AdminUsers = []string{fmt.Sprint(operator.UID)}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		for _, path := range []string{mine, filepath.Join(open, "x")} {
			_, err := f.Engine.Swap(f.Context(), operator, "fake", &api.SwapRequest{Command: path}, time.Hour)
			if !errors.Is(err, access.ErrDenied) || errors.Is(err, api.ErrSwapFailed) || !strings.Contains(err.Error(), "command: uid 4711 may only") {
				t.Errorf("%s: %v", path, err)
			}
		}
		allRun(f, daemontest.Program, "p-0")
		for _, who := range []access.Identity{daemontest.Who(), {UID: uint32(os.Geteuid())}} {
			if _, err := f.Engine.Swap(f.Context(), who, "fake", &api.SwapRequest{Command: mine}, time.Hour); err != nil {
				t.Error(err)
			}
			if _, err := f.Engine.Rollback(f.Context(), who, "fake", time.Hour); err != nil {
				t.Error(err)
			}
		}
		if _, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", &api.SwapRequest{Command: mine}, time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Engine.Swap(f.Context(), operator, "fake", &api.SwapRequest{Command: safe}, time.Hour); err != nil {
			t.Fatal(err)
		}
		allRun(f, safe, "p-0")
		if _, err := f.Engine.Rollback(f.Context(), operator, "fake", time.Hour); !errors.Is(err, access.ErrDenied) {
			t.Errorf("back to what others can write: %v", err)
		}
		allRun(f, safe, "p-0")
	})
}

// A probe of the configuration has no caller, and must not run as the daemon.
func TestAProbeNeverRunsAsTheDaemonWhereTasksRunAsTheirCallers(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Pools[0].User = "caller"
	if err := daemon.Check(c); err != nil {
		t.Fatal(err)
	}
	c.Executors[0].Trial.Probe = &task.Task{ScriptPath: fleettest.Echo, Timeout: task.Duration(time.Minute)}
	if err := daemon.Check(c); err == nil || !strings.Contains(err.Error(), `executor "fake": probe: the tasks of pool "p" run as their callers`) {
		t.Errorf("%v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can run tasks as their callers")
	}
	c.Executors[0].Trial.Probe = nil
	c.Access.AdminUsers = []string{fmt.Sprint(operator.UID)}
	next := program(t, "next")
	daemontest.On(t, c, func(f *daemontest.Farm) {
		var as []uint32
		f.Launcher.Acts = func(_ supervisor.Spec, k *plugins.Task) *plugins.Task {
			as = append(as, *k.RunAs)
			return k
		}
		req := &api.SwapRequest{Command: next, Probe: fmt.Appendf(nil, `{"script_path": %q}`, filepath.Join(f.Dir, fleettest.Echo))}
		if _, err := f.Engine.Swap(f.Context(), daemontest.Who(), "fake", req, time.Hour); !errors.Is(err, access.ErrDenied) {
			t.Errorf("root is no caller: %v", err)
		}
		if _, err := f.Engine.Swap(f.Context(), operator, "fake", req, time.Hour); err != nil || fmt.Sprint(as) != "[4711]" {
			t.Errorf("it ran as %v: %v", as, err)
		}
	})
}
