// Package plugins is the executor contract, both sides of it: the interfaces that an
// executor implements (Executor, Slot) and serves with Serve, and what the daemon
// holds of a running executor (Client, Conn). The wire protocol is
// proto/executor.proto; no other package uses it.
//
// Guarantees to an executor: Configure comes once and before any slot; a slot's
// OpenSlot, Run and Close are all called on one OS thread that is that slot's
// own; a task is run at most once per (slot, seq); Cancel may come from any
// goroutine, before, during and after the Run that it means.
package plugins

import (
	"context"
	"encoding/json"
	"time"

	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// Executor runs scripts in a worker process.
type Executor interface {
	// Describe returns the executor's name and capabilities. It is called before
	// Configure and must start nothing.
	Describe() Description
	// Configure makes the executor ready to open slots. It returns the name of the
	// runtime, e.g. "CPython 3.11.2". An error caused by the configuration matches
	// ErrBadSetting.
	Configure(ctx context.Context, c Configuration) (runtime string, err error)
	// OpenSlot is called on the slot's own locked OS thread.
	OpenSlot(index int) (Slot, error)
	// Health returns once tasks can make progress, with the time it took to get
	// the interpreter's lock (0 where there is none).
	Health(ctx context.Context) (lockWait time.Duration, err error)
}

// Redescriber is an Executor whose capabilities depend on its configuration.
type Redescriber interface {
	// Redescribe returns what holds as it is configured. It is called once, after Configure.
	Redescribe() Description
}

// Looper is an Executor that can also run tasks on an event loop.
type Looper interface {
	Executor
	// OpenLoop starts the loop for the slots first to first+count-1. It calls turned when a
	// turn of the loop in which tasks began or ended is over: what these have reported
	// leaves then, or some time later if it is not called.
	OpenLoop(first, count int, turned func()) (Loop, error)
}

// Loop runs the tasks of many slots on one OS thread, one task at a time for each
// slot.
type Loop interface {
	// Start begins t on slot and returns without waiting for it. t and its Params
	// are the callee's own.
	Start(slot int, t *Task, run LoopRun)
	// Cancel is Slot.Cancel for the task of one slot.
	Cancel(slot int, seq uint64, reason StopReason)
}

// LoopRun receives the events of a task on a loop. It is safe to call from any
// thread.
type LoopRun interface {
	Emitter
	// Begun reports that the task has begun.
	Begun()
	// Ended is the last call; o's Data need be valid only until it returns.
	Ended(o Outcome)
	// NeedsThread is called instead of all others for a task that can't share a
	// thread: nothing of it has run.
	NeedsThread()
}

// Stacker is an Executor that can list the stacks of its threads.
type Stacker interface {
	// Stacks describes every thread, as text for people. It fails with ctx's error
	// when it does not get the interpreter's lock in time.
	Stacks(ctx context.Context) (string, error)
}

// ThreadHost is an Executor that has the threads of its slots itself, such as the
// main thread of an interpreter.
type ThreadHost interface {
	Executor
	// OnSlotThread calls serve on the OS thread that is to be the slot's own and
	// returns when serve has. In it the slot is opened, run and closed.
	OnSlotThread(index int, serve func())
}

// Slot runs one task at a time on one OS thread.
type Slot interface {
	// Run runs t to its end and returns how it ended; it never panics because of a
	// script. t and its Params are valid until Run returns. The Outcome's Data is
	// valid until the next call on the slot.
	Run(t *Task, emit Emitter) Outcome
	// Cancel asks the task with this seq to stop, if it is the one that runs. It
	// is called from any goroutine and returns without waiting for the task.
	Cancel(seq uint64, reason StopReason)
	// Close releases the slot's resources; no Run follows.
	Close()
}

// Idler is a Slot that has something left to do once the Result of its task has been sent:
// what Run does after its script has ended keeps the Result waiting.
type Idler interface {
	// Idle is called before the slot waits for its next task, perhaps more than once, and
	// not between tasks that are there already.
	Idle()
}

// Emitter receives what a script emits before its end. It is safe to call from any
// thread during Run, and blocks only on the daemon's buffer for this task. Calls
// after Run has returned are dropped.
type Emitter interface {
	Partial(value []byte)
	Progress(fraction float64, message string)
	Log(level, message string)
	// Output is what the task has printed to a stream since the call before: see Printer.
	Output(stream Stream, text string)
}

// Description describes an executor.
type Description struct {
	Name    string
	Version string
	// CanCancel: Slot.Cancel can end a running task. Without it Cancel is not called,
	// and a task that is to stop costs its worker.
	CanCancel bool
	// HasEvents: tasks report progress, logs and partial results.
	HasEvents bool
	// HasOutput: what a task prints comes while it runs, see Printer.
	HasOutput bool
	// HasLoop: the executor is a Looper. Without it the daemon refuses to start a
	// worker with LoopSlots.
	HasLoop bool
	// CanIsolate: each task can have a process or a sandbox of its own. Without it a pool
	// with isolation = "process" does not start.
	CanIsolate bool
	// TakesEnv and TakesCwd: tasks may have Task.Env and Task.Cwd. Without it one that has
	// them is refused.
	TakesEnv, TakesCwd bool
	// Settings are the keys that Configuration.Settings may have, beside those of the pool.
	Settings []Setting
}

// Setting describes one key of Configuration.Settings.
type Setting struct {
	// Name has lower-case letters, digits and underscores.
	Name string
	Kind SettingKind
	// Description is one line for people, Default what holds without it.
	Description, Default string
	Required             bool
	// Allowed are the values that it may have, or those of its list, as text in
	// Configuration.Settings; none: any of its kind.
	Allowed []string
}

// SettingKind is how a setting's value is written in config.hcl, and as text in
// Configuration.Settings.
type SettingKind int

// The kinds of settings.
const (
	// StringSetting is text as it is, IntegerSetting decimal, BooleanSetting "true" or "false".
	StringSetting SettingKind = iota + 1
	IntegerSetting
	BooleanSetting
	// DurationSetting is as Go writes it, "1m30s"; BytesSetting a decimal number of bytes,
	// "64MiB" in config.hcl.
	DurationSetting
	BytesSetting
	// ListSetting is a JSON array of strings, MapSetting a JSON object of strings.
	ListSetting
	MapSetting
)

// Configuration is what a worker gets before its slots are opened.
type Configuration struct {
	// WorkerID is the id that operators see, e.g. "cpu-0".
	WorkerID string
	Pool     string
	Slots    int
	// LoopSlots is the number of slots on an event loop, in addition to Slots.
	LoopSlots int
	// RuntimeDir is the worker's private folder.
	RuntimeDir string
	// DaemonUID is the user of the process that has started this one.
	DaemonUID uint32
	// ResultBytes bounds a result's data, OutputBytes stdout and stderr each.
	ResultBytes int64
	OutputBytes int64
	// OutputInterval is how long a task runs until what it has printed is passed on, and how
	// long it is from one time to the next; 0: nobody wants to have it before the Outcome.
	OutputInterval time.Duration
	// LockStall is how long a wait for the interpreter's lock may last until the
	// stacks are logged; 0: for ever.
	LockStall time.Duration
	// Log goes to the daemon's log; nil: nowhere.
	Log hclog.Logger
	// Settings are the executor's own, from its block in config.hcl.
	Settings map[string]string
}

// Task is one attempt at a task, as a slot sees it.
type Task struct {
	// Slot is the index of the slot.
	Slot       int
	Seq        uint64
	ID         string
	ScriptPath string
	Function   string
	Type       task.Type
	Attempt    int
	// Timeout is for how long it may run from when it is claimed, whatever is done to
	// the clock on the wall; 0: for ever.
	Timeout     time.Duration
	Labels      map[string]string
	Traceparent string
	// Source is the script's text if ScriptPath is empty.
	Source string
	// Params is JSON text.
	Params []byte
	// Probe: the executor is to run a trivial call of its own, on the way that scripts
	// take, instead of a script. It completes if tasks can be run here.
	Probe bool
	// RunAs is the uid as which it is to run, nil: as the worker does.
	RunAs *uint32
	// Env is added to the environment of its process, Cwd is the directory in which it starts;
	// empty: the executor's choice.
	Env map[string]string
	Cwd string
}

// Outcome is how one attempt ended.
type Outcome struct {
	// Status is Completed, Failed, Cancelled or TimedOut.
	Status task.Status
	// Data is JSON text when Status is Completed.
	Data  json.RawMessage
	Error *task.Error
	// Stdout and Stderr are valid UTF-8.
	Stdout, Stderr string
	Truncated      bool
	// RunTime is wall time in user code, CPUTime the thread's CPU time there.
	RunTime, CPUTime time.Duration
	// LockWait is how long it waited for the interpreter's lock before that.
	LockWait time.Duration
	// Held is the room that Data takes in the daemon's memory; nil: it is small.
	Held *Held
	// Fault: the executor failed, not the script. Status is Failed, Error says how.
	Fault Fault
	// Spent: the worker is not to have another task, because this one has left it as it
	// can't be put right again. The Outcome itself holds.
	Spent bool
}

// Fault tells whether an attempt failed because of the executor. The task goes back
// then, and the slot gets no other before the worker has passed a probe.
type Fault uint8

// The kinds of a Fault.
const (
	// NoFault: whatever the Outcome, it is the script's.
	NoFault Fault = iota
	// Unrun: nothing of the script has run.
	Unrun
	// Ran: the script may have run.
	Ran
)

// StopReason is why a running task is asked to stop.
type StopReason int

// The reasons to stop a task.
const (
	StopCancelled StopReason = iota + 1
	StopTimedOut
)

// Claim tells who won a task: the slot's thread, or the call that takes it back.
type Claim int

// The answers to Recall and Cancel.
const (
	// Claimed: the slot's thread has it; its Result is or will be on the slot.
	Claimed Claim = iota + 1
	// Recalled: it was taken back unread; no event of it follows.
	Recalled
)

// Fate is what has become of a task that was sent to a slot.
type Fate int

// The fates of a task.
const (
	// FateOpen: nobody has decided; it waits in the slot.
	FateOpen Fate = iota
	// FateClaimed: the slot's thread has it, and may have begun with it.
	FateClaimed
	// FateRecalled: it was taken back, and will not run.
	FateRecalled
	// FateDone: it has run; its Result is on the way, unless the worker dies.
	FateDone
)

// Stats is what a worker reports of itself.
type Stats struct {
	SlotsBusy int
	TasksDone uint64
	RSSBytes  int64
	// CPUsAllowed is the kernel's list for all threads, e.g. "1"; lists that
	// differ are joined by ";".
	CPUsAllowed string
	Threads     int
	// Degraded is why the worker is degraded; empty: it is not.
	Degraded     string
	PeakRSSBytes int64
}
