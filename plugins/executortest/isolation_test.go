package executortest_test

import (
	"testing"

	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"
)

// What ends a worker of threads ends a task here, and what a task has started ends with it.
func TestThePythonExecutorConformsWithAProcessForEachTask(t *testing.T) {
	scripts := scriptsIn(t, "python")
	for name, settings := range map[string]map[string]string{
		"one task":   {"isolation": "process", "interrupt_after": "0s"},
		"many tasks": {"isolation": "process", "interrupt_after": "0s", "max_tasks": "10"},
	} {
		t.Run(name, func(t *testing.T) {
			if settings["max_tasks"] == "" && testing.Short() { // a process for each of hundreds
				t.Skip("-short: make test runs it")
			}
			start := executortest.Program(supervisor.Spec{Command: python(t), Settings: settings})
			executortest.Run(t, executortest.Suite{Scripts: scripts, StartWith: start, Shares: true})
		})
	}
}
