// Package config is what config.hcl can say: its types, the built-in default, and the
// decoder.
//
// Guarantees: an error names the file, the line, the key and what is allowed, and all
// errors of a file are reported together. It looks at the text alone: whether the users,
// programs and CPUs that a file names exist is for whoever uses them.
package config

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/schedule"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// Config is everything that config.hcl can say, complete with defaults. Get one
// from Default or Load; it is not changed afterwards.
type Config struct {
	Socket    Socket
	Queue     Queue
	Results   Results
	Journal   Journal
	Executors []Executor
	Pools     []Pool
	Limits    Limits
	Schedules []Schedule
	Access    Access
	Log       Log
	Tracing   Tracing
}

// Socket is where clients connect.
type Socket struct {
	// Path of the Unix socket.
	Path string
	// Mode of the socket file.
	Mode uint32
	// Group that owns the socket file; empty keeps the daemon's own.
	Group string
}

// Queue bounds the input queue.
type Queue struct {
	// MaxTasks is how many tasks may wait, over all pools, MaxBytes how large those that
	// wait or run may be together.
	MaxTasks int
	MaxBytes int64
	// Policy is what happens to a task when it is full: reject, block, drop_oldest.
	Policy string
	// KeyLimit is how many tasks with one concurrency key may run at a time,
	// KeyLimits that of single keys.
	KeyLimit  int
	KeyLimits map[string]int
}

// Results bounds the result store.
type Results struct {
	// TTL is how long a result is kept after the task's end.
	TTL time.Duration
	// Max is how many results are kept, MaxBytes how large they may be together, with the
	// events of tasks that have not ended; the oldest go first, of the caller who has most.
	Max      int
	MaxBytes int64
}

// Journal is how tasks and results outlive the daemon.
type Journal struct {
	// Sync is group, interval or off.
	Sync string
	// Interval is how much time a death of the machine may cost with interval.
	Interval time.Duration
}

// Executor names an executor program.
type Executor struct {
	Name string
	// Command is a path, or a file name that is looked up in the daemon's folder, in
	// ../libexec/cpulb and in PATH.
	Command string
	// SHA256 of the program in hex; empty accepts any.
	SHA256 string
	Trial
	Environment
}

// Trial is how a program that is to take the place of another is tried first.
type Trial struct {
	// Canary is which part of the tasks it gets at first, from 0 to MostCanary, and CanaryFor
	// for how long; 0: it gets all once it has passed the checks.
	Canary    float64
	CanaryFor time.Duration
	// Probe is a task that it must complete before it gets any other; nil: there is none.
	Probe *task.Task
}

// Environment is what an executor's workers run in. A pool can have its own, which
// replaces the executor's key by key.
type Environment struct {
	// Venv is the absolute path of a virtual environment; empty: none.
	Venv string
	// Preload are modules that a worker loads at its start.
	Preload []string
	// Env is added to the scrubbed environment of its workers.
	Env map[string]string
	// Own are the executor's own settings, by name, of which it says itself which it has.
	Own map[string]plugins.Given
}

// Over returns e with what it leaves out taken from base.
func (e Environment) Over(base Environment) Environment {
	if e.Venv == "" {
		e.Venv = base.Venv
	}
	if e.Preload == nil {
		e.Preload = base.Preload
	}
	if e.Env == nil {
		e.Env = base.Env
	}
	if base.Own != nil {
		own := maps.Clone(base.Own)
		maps.Copy(own, e.Own)
		e.Own = own
	}
	return e
}

// Given returns what the file has for the settings of x, the pool's executor, those that have
// keys of their own included.
func (p *Pool) Given(x *Executor) map[string]plugins.Given {
	in := p.Environment.Over(x.Environment)
	all := maps.Clone(in.Own)
	if all == nil {
		all = map[string]plugins.Given{}
	}
	give := func(key string, form plugins.Form, text string, pools bool) {
		where := fmt.Sprintf("executor %q", x.Name)
		if pools {
			where = fmt.Sprintf("pool %q", p.Name)
		}
		all[key] = plugins.Given{Where: where, Key: key, Form: form, Text: text}
	}
	if in.Venv != "" {
		give("venv", plugins.TextForm, in.Venv, p.Venv != "")
	}
	if len(in.Preload) > 0 {
		give("preload", plugins.ListForm, jsonText(in.Preload), p.Preload != nil)
	}
	return all
}

// DefaultWindow is Pool.Window where the file has none. Longer tasks gain little by it, and
// nobody notices that he waits so long.
const DefaultWindow = time.Millisecond

// Pool is a group of like workers.
type Pool struct {
	Name     string
	Executor string
	// TaskTypes that the pool serves.
	TaskTypes []string
	// Workers is how many processes; 0 means one for each core.
	Workers int
	// MinWorkers and MaxWorkers, if the latter is not 0, are between which their
	// number follows the tasks that wait; one that is not needed for IdleTimeout goes.
	MinWorkers, MaxWorkers int
	IdleTimeout            time.Duration
	// Spare is how many workers stand by.
	Spare int
	// Relief is how many more workers callers may get that would wait behind others.
	Relief int
	// Window is how much work, by what is known of it, a slot may hold when it holds more than
	// one task; 0: it holds one.
	Window time.Duration
	// Threads is how many slots each worker has.
	Threads int
	// AsyncConcurrency is how many tasks with an async main each worker runs at once
	// on its event loop, beside those of its threads; 0: it has no loop.
	AsyncConcurrency int
	// Pin fixes each worker to one core before it is executed; an unpinned
	// worker may run on all of the pool's cores.
	Pin bool
	// Policy chooses among the workers with a free slot.
	Policy balancer.Policy
	// Cores is the kernel's list format, "0-3,8"; empty means all that the
	// daemon may use.
	Cores string
	// Reserve is how many of those cores are left to the daemon.
	Reserve int
	// MaxTasks, MaxAge and MaxRSSBytes are when a worker is exchanged for a new one,
	// which nobody notices; 0: never.
	MaxTasks    int
	MaxAge      time.Duration
	MaxRSSBytes int64
	// MemoryBytes is what a worker may have, 0: no bound. The others are its
	// priorities, 0: the daemon's own.
	MemoryBytes int64
	Nice        int
	IOPriority  supervisor.IOPriority
	OOMScoreAdj int
	// Users and Groups may submit to the pool; both empty: all who may submit.
	Users, Groups []string
	Walls
	Environment
}

// Limits bounds what one caller or one task may take.
type Limits struct {
	// BodyBytes bounds a request body and a line of the stream.
	BodyBytes int64
	// InFlightBytes bounds what is held for clients and is neither in the queue nor kept
	// as a result; InFlight says what holds.
	InFlightBytes int64
	// Connections is how many there may be at a time, streams included.
	Connections int
	// Watches is how many tasks may be waited for at a time, each by one connection.
	Watches int
	// ResultBytes bounds a result's data, OutputBytes stdout and stderr each.
	ResultBytes int64
	OutputBytes int64
	// EventBytes bounds the progress and log events that are kept of a task.
	EventBytes int64
	// StartTimeout is how long a worker may take from exec to ready.
	StartTimeout time.Duration
	// CancelGrace is how long a stopped task has to end.
	CancelGrace time.Duration
	// FenceTimeout is how long the neighbours of a task that does not stop have to
	// end before they run again elsewhere.
	FenceTimeout time.Duration
	// GILStall is for how long a worker's interpreter lock may not be had until the
	// stacks of its threads are logged and it counts as degraded; 0: for ever.
	GILStall time.Duration
	// DrainTimeout is how long running tasks have when the daemon stops.
	DrainTimeout time.Duration
}

// How many times the largest body and the largest result there is at least in flight, and
// what comes beside the body. One caller's share is two thirds, and a body takes up to four
// times of itself: a task of a batch is there as text that grows, and is decoded, and is on
// its way into the journal.
const (
	timesBody   = 6
	besideBody  = 64 << 10
	timesResult = 3
)

// InFlight returns how much may be in flight: what the file says, but never so little
// that one caller alone could not send the largest body or get the largest result.
func (l *Limits) InFlight() int64 {
	return max(l.InFlightBytes, timesBody*l.BodyBytes+besideBody, timesResult*l.ResultBytes)
}

// Incoming is how much of what workers send may be held until it is kept, beside what is
// small.
func (l *Limits) Incoming() int64 {
	return max(leastIncoming, partsOfIncoming*l.ResultBytes)
}

// Of what workers send there is room for two of the largest results as they are read, each
// of which takes twice its size, and never so little that headers need long to come.
const (
	leastIncoming   = 256 << 20
	partsOfIncoming = 4
)

// Schedule is a task that recurs.
type Schedule struct {
	Name string
	schedule.Options
	// Owner is the user whose tasks these are; empty: the daemon's.
	Owner string
	// Task is what is submitted each time, but for its id.
	Task task.Task
	// at is where its keys are in the file, and the block itself as "".
	at map[string]Error
}

// Wrong says that the value of a key can't be used, and where the file has it.
func (s *Schedule) Wrong(key string, why error) error {
	at, ok := s.at[key]
	if !ok {
		at, ok = s.at[""]
	}
	why = fmt.Errorf("schedule %s: %w", s.Name, why)
	if !ok { // it comes from no file
		return why
	}
	return fmt.Errorf("%s:%d:%d: %w", at.File, at.Line, at.Column, why)
}

// Access is who may do what, by the names of users and groups.
type Access struct {
	// Users and Groups may submit; both empty: all who can connect.
	Users, Groups []string
	// AdminUsers and AdminGroups may do everything, as root may.
	AdminUsers, AdminGroups []string
	// ScriptDirs are folders beneath which scripts have to be; none: anywhere.
	ScriptDirs []string
	// Source allows tasks that bring their script's text.
	Source bool
}

// Over adds to an executor's settings what it has to enforce; one that can't
// refuses to start.
func (c Access) Over(settings map[string]string) map[string]string {
	if len(c.ScriptDirs) > 0 {
		settings["script_dirs"] = strings.Join(c.ScriptDirs, "\n")
	}
	return settings
}

// Log is where the daemon's log goes: always stderr.
type Log struct {
	// Level is trace, debug, info, warn or error.
	Level string
	// Format is text or json.
	Format string
}

// Tracing is where the spans of tasks go.
type Tracing struct {
	// Endpoint is a collector's URL; empty: none are made.
	Endpoint string
	// Protocol is grpc or http/protobuf.
	Protocol string
	// Sample is which part of the traces is sent that begin with a task, from 0 to 1.
	Sample float64
}

// Default returns what holds without a file: one pinned Python worker a
// core for CPU-bound tasks and one process of many threads for I/O-bound ones.
// The config.hcl at the root of the repository says the same, with comments.
func Default() *Config {
	return &Config{
		Socket:    Socket{Path: "/run/cpulb/cpulb.sock", Mode: 0o660},
		Queue:     Queue{MaxTasks: 100_000, MaxBytes: 1 << 30, Policy: "reject", KeyLimit: 1},
		Results:   Results{TTL: time.Hour, Max: 100_000, MaxBytes: 1 << 30},
		Journal:   Journal{Sync: "group", Interval: time.Second},
		Executors: []Executor{{Name: "python", Command: "cpulb-python", Trial: Trial{CanaryFor: DefaultCanaryFor}}},
		Pools: []Pool{
			{
				Name: "cpu", Executor: "python", TaskTypes: []string{"cpu_bound"},
				MinWorkers: 1, IdleTimeout: time.Minute, Relief: 2, Window: DefaultWindow, Threads: 1, Pin: true, Policy: balancer.LeastLoaded,
			},
			{
				Name: "io", Executor: "python", TaskTypes: []string{"io_bound"},
				Workers: 1, MinWorkers: 1, IdleTimeout: time.Minute, Relief: 2, Window: DefaultWindow, Threads: 32, Policy: balancer.LeastLoaded,
			},
		},
		Limits: Limits{
			BodyBytes:     128 << 20,
			InFlightBytes: 512 << 20,
			Connections:   4096,
			Watches:       200_000,
			ResultBytes:   128 << 20,
			OutputBytes:   1 << 20,
			EventBytes:    1 << 20,
			StartTimeout:  30 * time.Second,
			CancelGrace:   2 * time.Second,
			FenceTimeout:  30 * time.Second,
			GILStall:      10 * time.Second,
			DrainTimeout:  30 * time.Second,
		},
		Log:     Log{Level: "info", Format: "text"},
		Tracing: Tracing{Protocol: "grpc", Sample: 1},
	}
}
