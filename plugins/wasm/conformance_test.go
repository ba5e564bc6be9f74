package wasm

import (
	"path/filepath"
	"testing"

	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"
)

// A module has no process to crash and no children, so there are no scripts for these.
func TestTheExecutorConforms(t *testing.T) {
	scripts := map[executortest.Behaviour]string{}
	for _, b := range []executortest.Behaviour{executortest.Echo, executortest.Fails, executortest.Events, executortest.BlocksUntilStopped, executortest.PrintsAndBlocks,
		executortest.StrayOutput, executortest.HugeResult, executortest.LateEvents, executortest.NotText, executortest.Environment, "prints-much"} {
		scripts[b] = guest(t, string(b))
	}
	executortest.Run(t, executortest.Suite{Scripts: scripts, Shares: true, StartWith: executortest.Program(supervisor.Spec{
		Command: filepath.Join(built, "cpulb-wasm"), Settings: settingsWith(map[string]string{"output": "last_line"})})})
}
