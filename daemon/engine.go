// Package daemon is the engine: it admits tasks, queues them, hands each to the
// least-loaded worker and keeps its Result.
//
// Guarantees: every accepted task reaches exactly one terminal state, with a
// reason, as long as the daemon lives; a task whose worker dies runs again, and
// fails as worker_lost when a second worker dies of it. It does not guarantee
// anything across a death of the daemon: tasks and results are in memory.
//
// Locking: Engine.mu guards all that the engine knows. Nothing is called with it
// held that can block; frames and notices are collected under it and sent after.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// queueAgeing is how long a priority may be passed over for higher ones.
const queueAgeing = 10 * time.Second

// Options is what New needs.
type Options struct {
	Config *Config
	// RuntimeDir holds the workers' private folders; it exists and is ours.
	RuntimeDir string
	// BinDir is where executors are looked for first.
	BinDir  string
	Version string
	Log     hclog.Logger
}

// Engine runs tasks. Create it with New; its methods are safe for concurrent use.
type Engine struct {
	options  Options
	log      hclog.Logger
	launcher *supervisor.Launcher
	started  time.Time
	// life ends when Stop has given up on running tasks; supervisors go with it.
	life        context.Context
	end         context.CancelFunc
	supervisors sync.WaitGroup
	scripts     scripts

	mu       sync.Mutex
	pools    []*pool
	queue    *queue.Queue[*record]
	store    *store
	running  bool
	draining bool
	idle     chan struct{} // closed, when draining, once no slot is busy
}

// New checks the configuration against this machine and prepares the pools. It
// starts nothing but the launcher's thread, which Stop ends.
func New(o Options) (*Engine, error) {
	e := &Engine{options: o, log: o.Log, started: time.Now(), idle: make(chan struct{})}
	e.life, e.end = context.WithCancel(context.Background())
	e.queue = queue.New[*record](queue.Options{Lanes: lanesPerPool * len(o.Config.Pools), MaxTasks: o.Config.Queue.MaxTasks, Ageing: queueAgeing})
	e.store = newStore(o.Config.Results)
	for i, c := range o.Config.Pools {
		p, err := newPool(e, i, c)
		if err != nil {
			return nil, fmt.Errorf("pool %q: %w", c.Name, err)
		}
		e.pools = append(e.pools, p)
	}
	launcher, err := supervisor.NewLauncher(o.RuntimeDir, o.Log.Named("worker"))
	if err != nil {
		return nil, fmt.Errorf("launcher: %w", err)
	}
	e.launcher = launcher
	return e, nil
}

// Start starts every worker and returns when all are ready. If one can't start,
// the others are stopped and its error is returned: a daemon that could never
// run a task should not say that it is ready.
func (e *Engine) Start(ctx context.Context) error {
	seats := e.seats()
	failures := make(chan error, len(seats))
	for _, s := range seats {
		go func() { failures <- s.start(ctx) }()
	}
	var err error
	for range seats {
		err = errors.Join(err, <-failures)
	}
	if err != nil {
		e.end()
		e.stopWorkers(ctx)
		e.launcher.Close()
		return err
	}
	for _, s := range seats {
		e.supervisors.Go(s.supervise)
	}
	e.mu.Lock()
	e.running = true
	e.mu.Unlock()
	return nil
}

// Stop ends the engine: nothing new is accepted, running tasks may end until ctx
// is done, then all workers are stopped. What has not ended by then fails with
// code "daemon_stopped", so that whoever waits is told.
func (e *Engine) Stop(ctx context.Context) {
	e.mu.Lock()
	e.draining = true
	e.checkIdle()
	e.mu.Unlock()
	select {
	case <-e.idle:
	case <-ctx.Done():
	}
	e.mu.Lock()
	e.running = false
	notices := e.failAll()
	e.mu.Unlock()
	notices.send()
	e.end()
	e.stopWorkers(ctx)
	e.supervisors.Wait()
	e.launcher.Close()
}

func (e *Engine) seats() []*seat {
	var all []*seat
	for _, p := range e.pools {
		all = append(all, p.seats...)
	}
	return all
}

func (e *Engine) stopWorkers(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range e.seats() {
		wg.Go(func() { s.stop(ctx) })
	}
	wg.Wait()
}

// failAll ends every task that has not ended. e.mu is held.
func (e *Engine) failAll() notices {
	var n notices
	for _, r := range e.store.tasks {
		if !r.state.Load().Terminal() {
			n = append(n, e.finish(r, task.Failed, stopped())...)
		}
	}
	return n
}

func stopped() ended {
	return ended{err: &task.Error{Type: "DaemonStopped", Code: "daemon_stopped",
		Message: "the daemon stopped before the task ended"}}
}

// checkIdle closes idle when the engine drains and no slot is busy. e.mu is held.
func (e *Engine) checkIdle() {
	if !e.draining {
		return
	}
	for _, p := range e.pools {
		if p.busy() > 0 {
			return
		}
	}
	select {
	case <-e.idle:
	default:
		close(e.idle)
	}
}

// Ready says why tasks can't run now: the daemon is stopping, or a pool has no
// worker. Nil means that every pool has one.
func (e *Engine) Ready() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining || !e.running {
		return task.ErrDraining
	}
	for _, p := range e.pools {
		if p.ready() == 0 {
			return fmt.Errorf("pool %q has no ready worker", p.config.Name)
		}
	}
	return nil
}
