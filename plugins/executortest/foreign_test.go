package executortest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/plugins/conformance"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

func TestAnExecutorWrittenFromTheDocumentConforms(t *testing.T) {
	scripts := map[executortest.Behaviour]string{}
	for _, b := range []executortest.Behaviour{executortest.Echo, executortest.Fails, executortest.Events, executortest.BlocksUntilStopped, executortest.PrintsMuch,
		executortest.StrayOutput, executortest.Crashes, executortest.Exits, executortest.HugeResult, executortest.Environment,
		executortest.SpawnsChild, executortest.ChildEscapes, executortest.Faulted, executortest.Breaks} {
		scripts[b] = fmt.Sprintf("/%s", b)
	}
	program := build(t, "./testdata/foreign")
	t.Run("all of it", func(t *testing.T) { executortest.RunProgram(t, supervisor.Spec{Command: program}, scripts) })
	t.Run("but for what it breaks", func(t *testing.T) { broken(t, program, scripts) })
}

// broken checks that promises can be broken: each by an executor that does one thing wrong.
func broken(t *testing.T, program string, scripts map[executortest.Behaviour]string) {
	for _, c := range []struct{ breaks, promise, reason string }{
		{"describes too little", "ItDescribesItself", "the setting number has no description"},
		{"takes any value", "AnUnusableValueIsRefusedByName", `it started with number = "neither"`},
		{"is configured twice", "ItIsConfiguredOnce", "wanted FAILED_PRECONDITION, and it succeeded"},
		{"changes params", "AResultIsWhatTheScriptReturned", "wanted the params back, got completed with 17"},
		{"changes params", "LargeParamsComeBackWhole", "completed with 17"},
		{"changes params", "SourceRunsOrIsAFailedResult", "completed with 17"},
		{"reads small headers", "ALargeHeaderIsRead", "the slot was lost"},
		{"answers the next task", "TasksOfASlotRunInOrder", "did not come within"},
		{"has one task at a time", "SlotsDoNotWaitForEachOther", "did not come within"},
		{"is never healthy", "CallsAreAnsweredWhileTasksRun", "as asked"},
		{"does not count", "StatsCount", "wanted tasks_done 1"},
		{"has no errors", "AnErrorIsAFailedResult", "wanted a failed Result with the code exception or exit"},
		{"blames itself", "AScriptThatIsNotThereIsAFailedResult", "a fault of the executor"},
		{"blames itself", "SourceRunsOrIsAFailedResult", "without a fault"},
		{"knows no bounds", "AResultThatIsTooLargeFailsTheTaskOnly", "the slot was lost"},
		{"cuts in silence", "OutputIsBoundedAndSaysSo", "truncated false"},
		{"drops events", "EventsComeInOrderBeforeTheResult", "got: started 1, progress 1, ended 1"},
		{"blames scripts", "AFaultIsToldFromAFailure", "wanted a failed Result with FAULT_UNRUN"},
		{"blames scripts", "AWorkerThatIsBrokenSaysSo", "blames the script"},
		{"fails probes", "AProbeRunsWhereTasksDo", "a probe of a sound worker"},
		{"runs what was taken back", "RecalledTaskNeverRuns", "a task that was taken back gave"},
		{"takes back what runs", "ClaimedTaskIsNotRecalled", "wanted claimed, got recalled"},
		{"does not stop", "ARunningTaskIsStopped", "did not come within"},
		{"does not stop", "ATaskThatRunsForTooLongEndsAsTimedOut", "did not come within"},
		{"does not stop", "ACancelIsNeverLost", "did not come within"},
		{"does not drain", "DrainEndsWhatRunsAndRefusesTheRest", "tasks are run still"},
		{"shows its plumbing", "ScriptsSeeNothingOfThePlumbing", "a script sees CPULB_EXECUTOR"},
		{"survives", "ACrashIsNoticedWithItsLastWords", "a task was to end its worker"},
		{"survives", "AnExitIsToldByItsStatus", `wanted its end with exit status 42, got "exit status 0"`},
		{"ignores its lifeline", "ItEndsWithTheDaemon", "the worker did not end within"},
	} {
		t.Run(c.promise, func(t *testing.T) {
			t.Parallel() // those that wait for nothing to come
			i := slices.IndexFunc(conformance.Promises(), func(p conformance.Promise) bool { return p.Name == c.promise })
			spec := supervisor.Spec{Command: program, Env: map[string]string{"FOREIGN_BREAKS": c.breaks}, StartTimeout: time.Minute}
			patience := time.Minute
			if strings.Contains(c.reason, "did not") || strings.Contains(c.reason, "are run still") {
				patience = time.Second // it waits in vain, on any machine
			}
			s := conformance.Suite{Scripts: scripts, Start: conformance.Program(spec, hclog.NewNullLogger()), Patience: patience}
			f := conformance.Promises()[i].Find(t.Context(), s)
			if f.Verdict != conformance.Broken || !strings.Contains(strings.Join(f.Reasons, "\n"), c.reason) {
				t.Errorf("an executor that %s: %s %q, want FAILED with %q", c.breaks, f.Verdict, f.Reasons, c.reason)
			}
		})
	}
}
