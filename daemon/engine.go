// Package daemon is the engine: it admits tasks, queues them, hands each to the
// least-loaded worker and keeps its Result.
//
// Guarantees: every accepted task reaches exactly one terminal status, with a reason.
// With a journal this holds across a death of the daemon: acceptance and Result are
// committed before anybody sees them, and a task that was running then runs again,
// unless it asked not to. Without a journal, and for a task that is not durable, it
// holds as long as the daemon lives.
//
// Locking: Engine.mu guards all that the engine knows, and Engine.do alone takes it.
// Nothing that can block happens under it. Changes go to the journal under it, which
// takes them without waiting: the order of the journal is that of the lock. Whatever an
// operation leaves to be done after it (frames, events, answers, processes, log lines)
// goes into its effects.List. A method that takes an effects.List, and one whose name ends in
// Locked, is called under the lock.
package daemon

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/schedule"
	"cpulb/daemon/task"
	"cpulb/daemon/tracing"
	"cpulb/internal/share"
	"cpulb/plugins/cgroup"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// queueAgeing is how long a priority may be passed over for higher ones.
const queueAgeing = 10 * time.Second

// Options is what New needs.
type Options struct {
	Config *config.Config
	// RuntimeDir holds the workers' private folders; it exists and is ours.
	RuntimeDir string
	// BinDir is where executors are looked for first.
	BinDir string
	// Load reads the configuration again, for Reload; nil: there is nothing to read.
	Load func() (*config.Config, error)
	// Reloaded, if it is not nil, is called with each configuration that holds from then on.
	Reloaded func(*config.Config)
	Version  string
	// StateDir holds the journal; empty: there is none, whatever the configuration
	// says.
	StateDir string
	// Private lets the daemon's own user administer; see access.Rules.
	Private bool
	Log     hclog.Logger
	// Now is the clock on the wall, for tests in which it is set; nil is time.Now. Uptime
	// is the machine's since the start that MachineBoot names, for tests of several lives
	// of an engine; nil is CLOCK_MONOTONIC.
	Now         func() time.Time
	Uptime      func() time.Duration
	MachineBoot string
	// Traces takes the spans of tasks; nil: none are made.
	Traces tracing.Sink
	// Launcher starts the workers, for tests in which they are not processes; nil starts
	// real ones.
	Launcher fleet.Launcher
}

// Engine runs tasks. Create it with New; its methods are safe for concurrent use.
type Engine struct {
	options Options
	log     hclog.Logger
	started time.Time     // the origin of elapsed
	booted  time.Duration // the uptime then
	// life ends with Stop; loops are the goroutines that end with it.
	life    context.Context
	endLife context.CancelFunc
	loops   sync.WaitGroup
	// stopped is closed once Stop is done.
	stopped  chan struct{}
	scripts  scripts
	programs programs
	metrics  *metrics
	timers   timers
	// turnstile is before mu, for those who only read; selecting is before that, for those who
	// hold all that they have selected.
	turnstile, selecting *turnstile
	// These are answered for many at once.
	statuses  rounds[overview]
	schedules rounds[[]api.ScheduleStatus]
	executors rounds[[]api.ExecutorStatus]
	gathered  rounds[gathered]
	journal   *journal.Journal // nil: none is kept
	// responses are what the journal has answered; whoever it has call back has them.
	responses []response
	// serve sees to it that no worker of an earlier daemon runs what the journal has.
	serve func(folder string) error
	// config is what the engine runs by now; options.Config is what it began with.
	config  atomic.Pointer[config.Config]
	reloads sync.Mutex // held during one, and during a swap
	traces  *traces    // nil: none are made
	// signs are seen without the lock.
	signs signs
	// descriptors is what Descriptors returns.
	descriptors atomic.Int64
	// incoming bounds what workers send until it is kept. It has a lock of its own.
	incoming *share.Pool
	// fleet has the workers. It uses this lock.
	fleet *fleet.Fleet

	// lists are the effects.Lists that have run.
	lists sync.Pool

	// rules are replaced as a whole, and read without the lock.
	rules atomic.Pointer[access.Rules]

	mu sync.Mutex
	// reading is what the clocks have shown in this turn.
	reading reading
	queue   *queue.Queue[*ledger.Record]
	store   *ledger.Store
	// places maps each task that is in a slot to its place there.
	places map[*ledger.Record]*fleet.Place
	// awaited are those of them that the journal has and that are expected to end soon.
	awaited awaited
	pledges pledges
	// turns has those tasks run one at a time that were lost with several daemons.
	turns ledger.Turns
	// arriving are the tasks that are not accepted yet: there is no room, or they
	// are being committed.
	arriving map[*ledger.Record]*admission
	// newest were given to the journal last, by what they need of it.
	newest  [journal.Synced + 1]*admission
	watches watches
	swaps   swaps
	// overrides are the programs that were swapped.
	overrides overrides
	// stale: the file of them says something else yet.
	stale bool
	// cancels are answered when the task has ended.
	cancels   map[*ledger.Record][]func(task.View, error)
	recurring map[*schedule.Schedule]*recurring
	plan      *schedule.Plan
	// scheduled has the last task of each schedule, by name; planned is when the plan
	// was looked at last.
	scheduled map[string]*ledger.Record
	planned   queue.Now
	// unsaved are the tasks with events that are not in the journal. saving: a timer runs
	// that looks at them.
	unsaved unsaved
	saving  bool
	// due are the pools to be dispatched at the end of this turn under the lock.
	due []*fleet.Pool
	// held: dispatch waits for the disk.
	held bool
	// unfit are the tasks from the journal that can't go on; Start ends them.
	unfit   []unfit
	running bool
	// draining: nothing is accepted or started; stopping: nor ever will be.
	draining, stopping bool
	idle               chan struct{} // made by drainLocked, closed once no slot is busy
}

// New checks the configuration against this machine, prepares the pools and takes
// over what the journal has. It starts nothing but the launcher's thread and the
// journal, which Stop ends.
func New(o Options) (*Engine, error) {
	e := &Engine{options: o, log: o.Log, started: time.Now(), booted: machineUptime(), timers: newTimers(), stopped: make(chan struct{}),
		serve:    func(string) error { return nil },
		arriving: map[*ledger.Record]*admission{}, cancels: map[*ledger.Record][]func(task.View, error){}, places: map[*ledger.Record]*fleet.Place{},
		pledges: pledges{of: map[*ledger.Record]*pledge{}}, scheduled: map[string]*ledger.Record{}, unsaved: unsaved{},
		watches: watches{own: map[uint32]int64{}}, swaps: swaps{last: map[string]*swap{}}, overrides: overrides{}}
	e.config.Store(o.Config)
	e.life, e.endLife = context.WithCancel(context.Background())
	e.store = ledger.NewStore(ledger.Bounds(o.Config.Results))
	e.incoming = share.NewPool(o.Config.Limits.Incoming())
	e.metrics, e.traces = newMetrics(e), newTraces(o.Traces)
	e.turnstile, e.selecting = newTurnstile(e.elapsed), newTurnstile(e.elapsed)
	e.statuses = rounds[overview]{ask: e.overview, elapsed: e.elapsed}
	e.schedules = rounds[[]api.ScheduleStatus]{ask: e.scheduleStatuses, elapsed: e.elapsed}
	e.executors = rounds[[]api.ExecutorStatus]{ask: e.executorStatuses, elapsed: e.elapsed}
	e.gathered = rounds[gathered]{ask: e.gatherAll, elapsed: e.elapsed}
	layouts, err := e.takeOverSwaps()
	if err != nil {
		return nil, err
	}
	e.descriptors.Store(descriptors(layouts))
	rules, schedules, err := resolve(o.Config, o.Private)
	if err != nil {
		return nil, err
	}
	e.rules.Store(rules)
	launcher := o.Launcher
	if launcher == nil {
		if launcher, e.serve, err = newLauncher(o.RuntimeDir, o.Log); err != nil {
			return nil, fmt.Errorf("launcher: %w", err)
		}
	}
	e.fleet = fleet.New(fleet.Options{
		Owner:    owner{e},
		Launcher: launcher,
		Log:      o.Log,
		Limits:   &o.Config.Limits,
		Elapsed:  e.elapsed,
		Arriving: e.incoming,

		ElapsedLocked: e.elapsedLocked,
	}, layouts)
	e.queue = queue.New[*ledger.Record](e.queueOptionsLocked(o.Config))
	if err := e.openJournal(); err != nil {
		launcher.Close()
		e.closeJournal(context.Background())
		return nil, err
	}
	var known map[string]schedule.State
	if e.journal != nil {
		known = planOf(e.journal)
	}
	e.replanLocked(schedules, known)
	e.recallLast(known)
	return e, nil
}

// layouts checks the pools of a configuration against this machine.
func (e *Engine) layouts(c *config.Config) ([]fleet.Layout, error) {
	var all []fleet.Layout
	for _, p := range c.Pools {
		l, err := fleet.NewLayout(c, p, e.options.BinDir)
		if err != nil {
			return nil, fmt.Errorf("pool %q: %w", p.Name, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// newLauncher returns the launcher of real processes. It gives each worker a cgroup,
// where one is delegated to the daemon. serve is its Serve.
func newLauncher(runtimeDir string, log hclog.Logger) (launcher fleet.Launcher, serve func(folder string) error, err error) {
	l, err := supervisor.NewLauncher(runtimeDir, log.Named("worker"))
	if err != nil {
		return nil, nil, err
	}
	if tree, err := cgroup.Own(); err != nil {
		log.Debug("workers have no cgroups of their own: memory is bounded by RLIMIT_DATA", "reason", err)
	} else {
		l.Contain(tree)
		log.Info("each worker has a cgroup of its own", "bounds_memory", tree.HasMemory(), "max_pids", tree.MaxPIDs())
	}
	return fleet.Supervised(l), l.Serve, nil
}

// RemoveWorker removes the folder of a worker that an earlier daemon has left.
func RemoveWorker(folder string) error { return supervisor.RemoveFolder(folder) }

func (e *Engine) queueOptionsLocked(c *config.Config) queue.Options {
	limits := c.Queue
	return queue.Options{Lanes: e.fleet.LanesLocked(len(c.Pools)), MaxTasks: limits.MaxTasks, MaxBytes: limits.MaxBytes, Ageing: queueAgeing,
		Policy: map[string]queue.Policy{"reject": queue.Reject, "block": queue.Block, "drop_oldest": queue.DropOldest}[limits.Policy],
		KeyLimit: func(key string) int {
			if n, ok := limits.KeyLimits[key]; ok {
				return n
			}
			return limits.KeyLimit
		}}
}

// Check reports what a configuration names that is not on this machine: users and
// groups, and the scripts of schedules. New and Reload refuse it for the same.
func Check(c *config.Config) error {
	_, _, err := resolve(c, false)
	return err
}

// resolve finds what Check reports about.
func resolve(c *config.Config, private bool) (*access.Rules, []*recurring, error) {
	names := access.System()
	rules := &access.Rules{Private: private, DaemonUID: uint32(os.Geteuid()), ScriptDirs: c.Access.ScriptDirs, Source: c.Access.Source,
		Pools: map[string]access.Who{}, AsCaller: map[string]bool{}, FirstUser: access.FirstUser()}
	var err error
	if rules.Submit, err = names.Resolve(c.Access.Users, c.Access.Groups); err != nil {
		return nil, nil, fmt.Errorf("access: %w", err)
	}
	if rules.Administer, err = names.Resolve(c.Access.AdminUsers, c.Access.AdminGroups); err != nil {
		return nil, nil, fmt.Errorf("access: administrators: %w", err)
	}
	for _, p := range c.Pools {
		if rules.Pools[p.Name], err = names.Resolve(p.Users, p.Groups); err != nil {
			return nil, nil, fmt.Errorf("pool %q: %w", p.Name, err)
		}
		rules.AsCaller[p.Name] = p.AsCaller()
		if p.User != "" && !p.AsCaller() {
			if _, err := supervisor.FindUser(p.User, p.Group); err != nil {
				return nil, nil, fmt.Errorf("pool %q: %w", p.Name, err)
			}
		}
	}
	if err := checkProbes(c); err != nil {
		return nil, nil, err
	}
	schedules, err := newRecurring(c, names, rules)
	return rules, schedules, err
}

// do calls f under the lock, and does what f leaves to be done after it.
func (e *Engine) do(f func(fx *effects.List)) {
	e.turn(f)
	if e.journal != nil {
		e.journal.Write()
	}
}

// aside is do for those who must not wait for the disk.
func (e *Engine) aside(f func(fx *effects.List)) {
	e.turn(f)
	if e.journal != nil {
		e.journal.WriteSoon()
	}
}

func (e *Engine) turn(f func(fx *effects.List)) {
	fx, ok := e.lists.Get().(*effects.List)
	if !ok {
		fx = &effects.List{}
	}
	e.locked(func() {
		f(fx)
		e.dispatchDue(fx)
	})
	fx.Run(e.log)
	e.lists.Put(fx)
}

func (e *Engine) locked(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock() // also when f panics: a caller may recover, and all others would wait
	e.reading = reading{inTurn: true}
	f()
	e.signs.show(e.readinessLocked())
}

// Start starts every worker and returns when all are ready. If one can't start,
// the others are stopped and its error is returned: a daemon that could never
// run a task should not say that it is ready.
func (e *Engine) Start(ctx context.Context) error {
	e.proveSwaps(ctx)
	if err := e.fleet.Start(ctx); err != nil {
		e.endLife()
		e.closeJournal(ctx)
		return err
	}
	e.do(func(fx *effects.List) {
		e.running = true
		e.dismiss(fx)
	})
	e.loops.Go(func() { e.keepTime(e.life) })
	return nil
}

// Config returns what the engine runs by, which must not be changed.
func (e *Engine) Config() *config.Config { return e.config.Load() }

func (e *Engine) limits() *config.Limits { return &e.config.Load().Limits }
