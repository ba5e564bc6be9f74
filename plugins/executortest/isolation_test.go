package executortest_test

import (
	"testing"

	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"
)

// What ends a worker of threads ends a task here, and what a task has started ends with it:
// package python tests that.
func TestThePythonExecutorConformsWithAProcessForEachTask(t *testing.T) {
	scripts := pythonScripts(t)
	for _, b := range []executortest.Behaviour{executortest.Crashes, executortest.Faults, executortest.Exits, executortest.SpawnsChild,
		executortest.ChildEscapes, executortest.Breaks} {
		delete(scripts, b)
	}
	for name, settings := range map[string]map[string]string{
		"one task":   {"isolation": "process", "interrupt_after": "0s"},
		"many tasks": {"isolation": "process", "interrupt_after": "0s", "max_tasks": "10"},
	} {
		t.Run(name, func(t *testing.T) {
			start := starter(supervisor.Spec{Command: build(t, "cpulb/cmd/cpulb-python"), Settings: settings})
			executortest.Run(t, executortest.Suite{Scripts: scripts, Start: start, Shares: true})
		})
	}
}
