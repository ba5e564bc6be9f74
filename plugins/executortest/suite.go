package executortest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cpulb/plugins"
)

// Behaviour names a script by what it does.
type Behaviour string

// The behaviours that the suite asks for.
const (
	// Echo returns its params, and prints its task_id.
	Echo Behaviour = "echo"
	// Fails raises an error with the message "as asked".
	Fails Behaviour = "fails"
	// Panics makes the executor itself fail.
	Panics Behaviour = "panics"
	// Faulted makes the executor fail the attempt before anything of it has run.
	Faulted Behaviour = "faulted"
	// Breaks returns its params and leaves the worker as one that can't run tasks any
	// more, by whatever means scripts have.
	Breaks Behaviour = "breaks"
	// Events reports progress 0.5 "half way", logs "hello" as info, and yields 1, 2
	// and 3.
	Events Behaviour = "events"
	// BlocksUntilStopped waits, interruptibly, for ever.
	BlocksUntilStopped Behaviour = "blocks-until-stopped"
	// StrayOutput writes a line of 1 MB to descriptor 1 and one to 2, past the
	// runtime's own streams.
	StrayOutput Behaviour = "stray-output"
	// Crashes ends the process by a signal, after "last words of a crash" on
	// descriptor 2.
	Crashes Behaviour = "crashes"
	// SpawnsChild starts a process that stays and returns its pid.
	SpawnsChild Behaviour = "spawns-child"
	// ChildEscapes does so in a session of its own.
	ChildEscapes Behaviour = "child-escapes"
	// ChildVanishes does so without environment, and without a parent.
	ChildVanishes Behaviour = "child-vanishes"
	// Faults ends the process by SIGSEGV.
	Faults Behaviour = "faults"
	// Exits ends the process with status 42, without any cleaning up.
	Exits Behaviour = "exits"
	// Environment returns the process's environment as an object.
	Environment Behaviour = "environment"
	// HugeResult returns more than SuiteResultBytes.
	HugeResult Behaviour = "huge-result"
	// LateEvents yields from a thread that goes on after the script has returned.
	LateEvents Behaviour = "late-events"
	// NotText prints what is not UTF-8.
	NotText Behaviour = "not-text"
	// EatsMemory takes EatenBytes and returns how much it got.
	EatsMemory Behaviour = "eats-memory"
)

// EatenBytes is what EatsMemory takes.
const EatenBytes = 512 << 20

// SuiteResultBytes is the ResultBytes of the workers that Start starts.
const SuiteResultBytes = 4 << 20

// Worker is an executor process with open slots; *supervisor.Process is one.
type Worker interface {
	PID() int
	Description() plugins.Description
	Slot(i int) *plugins.Conn
	Cancel(ctx context.Context, slot int, seq uint64, r plugins.StopReason) (plugins.Claim, error)
	Recall(ctx context.Context, slot int, seq uint64) (plugins.Claim, error)
	Stats(ctx context.Context) (plugins.Stats, error)
	Health(ctx context.Context) (time.Duration, error)
	Done() <-chan struct{}
	Exit() string
	LastStderr() []string
	Stop(ctx context.Context)
	Kill()
}

// Suite is what Run tests.
type Suite struct {
	// Start starts a worker; it ends it by the test's end.
	Start func(t *testing.T, slots int, handler func(first, count int) plugins.Handler) Worker
	// Scripts has the script for each Behaviour. Tests of a Behaviour without a script
	// are skipped.
	Scripts map[Behaviour]string
	// Shares: the workers claim tasks in memory that they share with the daemon.
	Shares bool
}

// Run runs the whole suite.
func Run(t *testing.T, s Suite) {
	for _, c := range []struct {
		promise string
		needs   []Behaviour
		test    func(*bench)
	}{
		{"AResultIsWhatTheScriptReturned", []Behaviour{Echo}, echoes},
		{"LargeParamsComeBackWhole", []Behaviour{Echo}, largeParams},
		{"TasksOfASlotRunInOrder", []Behaviour{Echo}, inOrder},
		{"AnErrorIsAFailedResult", []Behaviour{Fails, Echo}, fails},
		{"AFailureOfTheExecutorFailsTheTaskOnly", []Behaviour{Panics, Echo}, panics},
		{"AProbeRunsWhereTasksDo", []Behaviour{Echo}, probes},
		{"AFaultIsToldFromAFailure", []Behaviour{Faulted, Fails, Echo}, faulted},
		{"AWorkerThatCantRunTasksSaysSo", []Behaviour{Breaks, Echo}, breaks},
		{"AResultThatIsTooLargeFailsTheTaskOnly", []Behaviour{HugeResult, Echo}, hugeResult},
		{"OutputThatIsNotTextFailsTheTaskAtMost", []Behaviour{NotText, Echo}, notText},
		{"EventsComeInOrderBeforeTheResult", []Behaviour{Events}, events},
		{"NothingFollowsTheResult", []Behaviour{LateEvents, Echo}, lateEvents},
		{"ResultIsNotHeldAcrossUserCode", []Behaviour{BlocksUntilStopped, Echo}, notHeld},
		{"SlotsDoNotWaitForEachOther", []Behaviour{BlocksUntilStopped, Echo}, independent},
		{"RecalledTaskNeverRuns", []Behaviour{BlocksUntilStopped, Echo}, recalled},
		{"ClaimedTaskIsNotRecalled", []Behaviour{BlocksUntilStopped}, claimedStays},
		{"SharedMemoryTellsWhatHasBecomeOfATask", []Behaviour{BlocksUntilStopped, Echo}, sharedClaims},
		{"ARunningTaskIsStopped", []Behaviour{BlocksUntilStopped, Echo}, stopped},
		{"ATaskThatRunsForTooLongEndsAsTimedOut", []Behaviour{BlocksUntilStopped, Echo}, timesOut},
		{"ACancelIsNeverLost", []Behaviour{BlocksUntilStopped}, cancelRaces},
		{"DrainEndsWhatRunsAndRefusesTheRest", []Behaviour{BlocksUntilStopped, Echo}, drains},
		{"MegabyteLineOnStdoutDoesNotHang", []Behaviour{StrayOutput, Echo}, strayOutput},
		{"ScriptsSeeNothingOfThePlumbing", []Behaviour{Environment}, environment},
		{"ACrashIsNoticedWithItsLastWords", []Behaviour{Crashes}, crash},
		{"AFaultIsToldByItsSignal", []Behaviour{Faults}, faults},
		{"AnExitIsToldByItsStatus", []Behaviour{Exits}, exits},
		{"ChildrenDieWithTheWorker", []Behaviour{SpawnsChild}, childrenDie},
		{"ChildrenDieWithACrashedWorker", []Behaviour{SpawnsChild, Crashes}, childrenDieOfCrash},
		{"EscapedChildrenDieWithTheWorker", []Behaviour{ChildEscapes}, childEscapes},
		{"EscapedChildrenDieWithACrashedWorker", []Behaviour{ChildEscapes, Crashes}, childEscapesCrash},
		{"EscapedChildrenDieWithAStoppedWorker", []Behaviour{ChildEscapes}, childrenDieOfStop},
		{"StatsCount", []Behaviour{BlocksUntilStopped, Echo}, stats},
	} {
		t.Run(c.promise, func(t *testing.T) {
			for _, b := range c.needs {
				if s.Scripts[b] == "" {
					t.Skipf("this executor has no script for %q", b)
				}
			}
			c.test(newBench(t, s))
		})
	}
}

// bench is a worker with two slots, in a test.
type bench struct {
	*testing.T
	suite  Suite
	worker Worker
	up     [2]*Recorder
	seq    [2]uint64
}

func newBench(t *testing.T, s Suite) *bench {
	b := &bench{T: t, suite: s, up: [2]*Recorder{NewRecorder(), NewRecorder()}}
	b.worker = s.Start(t, len(b.up), Each(func(slot int) SlotHandler { return b.up[slot] }))
	return b
}

// send sends a task to a slot and returns its seq.
func (b *bench) send(slot int, behaviour Behaviour, params string) uint64 {
	b.Helper()
	return b.sendWithin(slot, behaviour, params, 0)
}

// sendWithin sends one with a timeout.
func (b *bench) sendWithin(slot int, behaviour Behaviour, params string, timeout time.Duration) uint64 {
	b.Helper()
	b.seq[slot]++
	seq := b.seq[slot]
	err := b.worker.Slot(slot).Send(&plugins.Task{Seq: seq, ID: fmt.Sprintf("task-%d-%d", slot, seq), ScriptPath: b.suite.Scripts[behaviour],
		Function: "main", Type: "cpu_bound", Attempt: 1, Params: []byte(params), Timeout: timeout})
	if err != nil {
		b.Fatalf("send: %v", err)
	}
	return seq
}

// probe probes slot 0.
func (b *bench) probe() plugins.Outcome {
	b.Helper()
	b.seq[0]++
	seq := b.seq[0]
	if err := b.worker.Slot(0).Send(&plugins.Task{Seq: seq, ID: "probe", Type: "cpu_bound", Attempt: 1, Params: []byte("1"), Probe: true}); err != nil {
		b.Fatalf("send: %v", err)
	}
	return b.up[0].Wait(b, "ended", seq).Outcome
}

// run runs a task on slot 0 to its end.
func (b *bench) run(behaviour Behaviour, params string) plugins.Outcome {
	b.Helper()
	return b.up[0].Wait(b, "ended", b.send(0, behaviour, params)).Outcome
}

// block starts a task that blocks and returns its seq once it runs.
func (b *bench) block(slot int) uint64 {
	b.Helper()
	seq := b.send(slot, BlocksUntilStopped, "{}")
	b.up[slot].Wait(b, "started", seq)
	return seq
}

func (b *bench) cancel(slot int, seq uint64, r plugins.StopReason) plugins.Claim {
	b.Helper()
	claim, err := b.worker.Cancel(b.Context(), slot, seq, r)
	if err != nil {
		b.Fatalf("cancel: %v", err)
	}
	return claim
}

func (b *bench) recall(slot int, seq uint64) plugins.Claim {
	b.Helper()
	claim, err := b.worker.Recall(b.Context(), slot, seq)
	if err != nil {
		b.Fatalf("recall: %v", err)
	}
	return claim
}
