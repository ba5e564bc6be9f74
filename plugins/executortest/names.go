package executortest

import (
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/conformance"
)

// startTimeout is for a busy machine.
const startTimeout = 10 * time.Minute

// What package conformance has, for tests.
type (
	// Behaviour names a script by what it does.
	Behaviour = conformance.Behaviour
	// Worker is an executor process with open slots.
	Worker = conformance.Worker
	// Options are what differs between the workers of a Suite.
	Options = conformance.Options
	// Recorder is a SlotHandler that records its calls.
	Recorder = conformance.Recorder
	// SlotHandler receives the events of one slot.
	SlotHandler = conformance.SlotHandler
	// Event is one of a Recorder's.
	Event = conformance.Event
	// Watched is a process whose end can be waited for.
	Watched = conformance.Watched
)

// The behaviours, see conformance.Behaviours.
const (
	Echo               = conformance.Echo
	Fails              = conformance.Fails
	Panics             = conformance.Panics
	Faulted            = conformance.Faulted
	Breaks             = conformance.Breaks
	Events             = conformance.Events
	LateEvents         = conformance.LateEvents
	BlocksUntilStopped = conformance.BlocksUntilStopped
	WaitsForFile       = conformance.WaitsForFile
	PrintsMuch         = conformance.PrintsMuch
	PrintsAndBlocks    = conformance.PrintsAndBlocks
	StrayOutput        = conformance.StrayOutput
	NotText            = conformance.NotText
	HugeResult         = conformance.HugeResult
	Environment        = conformance.Environment
	WorkingDirectory   = conformance.WorkingDirectory
	Crashes            = conformance.Crashes
	Faults             = conformance.Faults
	Exits              = conformance.Exits
	SpawnsChild        = conformance.SpawnsChild
	ChildEscapes       = conformance.ChildEscapes
	ChildVanishes      = conformance.ChildVanishes
	EatsMemory         = conformance.EatsMemory
	LoopEcho           = conformance.LoopEcho
	LoopBlocks         = conformance.LoopBlocks
)

// Sizes of the suite.
const (
	EatenBytes       = conformance.EatenBytes
	SuiteResultBytes = conformance.SuiteResultBytes
	SuiteOutputBytes = conformance.SuiteOutputBytes
)

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return conformance.NewRecorder() }

// Each returns what gives a connection its Handler, which passes what comes on to those of
// its slots.
func Each(slot func(slot int) SlotHandler) func(first, count int) plugins.Handler {
	return conformance.Each(slot)
}

// Watch watches the process with that pid, which must live.
func Watch(t testing.TB, pid int) *Watched { return conformance.Watch(t, pid) }
