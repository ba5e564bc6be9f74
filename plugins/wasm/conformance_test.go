package wasm

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// launched returns what starts workers of cpulb-wasm.
func launched(spec supervisor.Spec) func(*testing.T, int, func(first, count int) plugins.Handler) executortest.Worker {
	spec.ID, spec.Pool, spec.StartTimeout, spec.Command = "w", "test", 10*time.Minute, filepath.Join(built, "cpulb-wasm")
	spec.ResultBytes, spec.OutputBytes = executortest.SuiteResultBytes, 1<<16
	return func(t *testing.T, slots int, handler func(first, count int) plugins.Handler) executortest.Worker {
		t.Helper()
		spec.Slots = slots
		dir, err := os.MkdirTemp("", "sup") // t.TempDir is too long for sockets
		if err != nil {
			t.Fatal(err)
		}
		l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.Start(t.Context(), spec, handler)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			p.Kill()
			<-p.Done()
			l.Close()
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left in the runtime folder: %v %v", left, err)
			}
			os.RemoveAll(dir)
		})
		return p
	}
}

// scripts has the guest under the name of each behaviour that a module can have.
func scripts(t *testing.T) map[executortest.Behaviour]string {
	all := map[executortest.Behaviour]string{}
	for _, b := range []executortest.Behaviour{executortest.Echo, executortest.Fails, executortest.Events, executortest.BlocksUntilStopped,
		executortest.StrayOutput, executortest.HugeResult, executortest.LateEvents, executortest.NotText} {
		all[b] = guest(t, string(b))
	}
	return all
}

func TestTheExecutorConforms(t *testing.T) {
	start := launched(supervisor.Spec{Settings: settingsWith(map[string]string{"output": "last_line"})})
	executortest.Run(t, executortest.Suite{Scripts: scripts(t), Start: start, Shares: true})
}
