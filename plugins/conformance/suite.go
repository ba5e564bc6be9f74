// Package conformance holds what the contract promises of every executor
// (docs/plugins.md, executor.proto), as promises that can be checked: each starts a
// worker of its own, through real slots and control calls, and says what it expected
// and what came.
//
// The scripts that the promises need are the executor's; each does what its Behaviour
// says. Features of one language, such as tracebacks, are not tested. The package does
// not use Go's testing: a command and a Go test can both run it.
package conformance

import (
	"cmp"
	"context"
	"time"

	"cpulb/plugins"
)

// T is what a promise needs of a test; *testing.T is one. Fatalf and Skipf end the calling
// goroutine.
type T interface {
	Context() context.Context
	Cleanup(f func())
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
	Skipf(format string, args ...any)
}

// Worker is an executor process with open slots; *supervisor.Process is one.
type Worker interface {
	PID() int
	Description() plugins.Description
	Runtime() string
	Slot(i int) *plugins.Conn
	Cancel(ctx context.Context, slot int, seq uint64, r plugins.StopReason) (plugins.Claim, error)
	Recall(ctx context.Context, slot int, seq uint64) (plugins.Claim, error)
	Stats(ctx context.Context) (plugins.Stats, error)
	Stacks(ctx context.Context) (string, error)
	Health(ctx context.Context) (time.Duration, error)
	Control() *plugins.Client
	Abandon()
	Done() <-chan struct{}
	Exit() string
	LastStderr() []string
	Stop(ctx context.Context)
	Kill()
}

// Options are what differs between the workers that a Suite starts.
type Options struct {
	Slots, LoopSlots int
	// Settings are added to those that every worker of the suite has.
	Settings map[string]string
	// MemoryBytes bounds the worker's memory; 0 does not.
	MemoryBytes int64
	// OutputInterval is as in plugins.Configuration; 0: output comes with Results alone.
	OutputInterval time.Duration
}

// What the workers that a Suite starts may give back of a task.
const (
	SuiteResultBytes = 4 << 20
	SuiteOutputBytes = 64 << 10
)

// Suite is an executor to be tested.
type Suite struct {
	// Start starts a worker with SuiteResultBytes and SuiteOutputBytes, and ends it in a
	// Cleanup of t.
	Start func(t T, o Options, handler func(first, count int) plugins.Handler) (Worker, error)
	// Scripts has the absolute path of the script for each Behaviour. A promise that needs
	// one which is not there is skipped.
	Scripts map[Behaviour]string
	// Slots is how many slots a worker has, at least 2, which 0 means.
	Slots int
	// Races is how often what decides a race is tried, 0: 300 times.
	Races int
	// Patience is how long an answer may take, 0: as long as a Go test on a busy machine.
	Patience time.Duration
}

func (s *Suite) slots() int { return max(2, s.Slots) }

func (s *Suite) races() int { return cmp.Or(s.Races, 300) }

func (s *Suite) patience() time.Duration {
	if s.Patience > 0 {
		return s.Patience
	}
	return forTests
}

// Promise is one promise of the contract.
type Promise struct {
	// Name says what is promised, in CamelCase.
	Name string
	// Needs are the Behaviours without which it can't be checked.
	Needs []Behaviour
	// Capability is the one that an executor without it does not make the promise; 0: all do.
	Capability Capability
	keeps      func(*bench)
	// own: no other promise can be checked with the worker.
	own bool
}

// Check fails or skips t unless the executor keeps the promise. The worker is its own.
func (p Promise) Check(t T, s Suite) {
	p.skip(t, &s)
	p.checkWith(newBench(t, s))
}

func (p Promise) checkWith(b *bench) {
	if !p.Capability.In(b.worker) {
		b.Skipf("%s is not among the capabilities", p.Capability)
	}
	p.keeps(b)
}

// skip skips t if a script is missing.
func (p Promise) skip(t T, s *Suite) {
	for _, b := range p.Needs {
		// What only has to block may wait for a file.
		if s.Scripts[b] == "" && (b != BlocksUntilStopped || p.Capability == CapCancel || s.Scripts[WaitsForFile] == "") {
			t.Skipf("no script for %s", b)
		}
	}
}
