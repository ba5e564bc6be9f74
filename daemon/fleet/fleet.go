// Package fleet keeps the workers of all pools: it fills their seats, and fences,
// replaces, recycles, isolates, scales and exchanges their workers. It knows a task only
// as a Hold of its Owner.
//
// Guarantees: a seat whose worker dies or leaves is filled again, with waits that
// double as long as its workers die; a worker that leaves takes no more tasks and ends
// as soon as none is left in it, or by force when a task does not stop; what a worker
// had is given back to the Owner exactly once, after its process has been reaped and
// all that it had written has been read; of several tasks that ran in a worker when it
// died, none is blamed before it has run alone.
//
// Locking: the methods of Pool, Seat, Worker, Slot and Lane are the core. They, and all
// functions that take an effects.List, are called under the Owner's lock; they do not
// wait, log or start anything, but leave that to the list. The methods of Fleet, runner,
// watcher, handler and Rollout run without the lock and take it by Owner.Do, but for
// those whose name ends in Locked.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/internal/share"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// Hold is what a slot knows of the task that it has. Its Owner made it.
type Hold interface {
	// Info is the task, which does not change.
	Info() *task.Task
	// Caller is the user whose it is.
	Caller() uint32
	// Runs reports whether a thread of the worker has claimed it.
	Runs() bool
	// Suspected: it has its slot for itself. Doubted: so many workers have died with it, which
	// they said did not run just then, that this is not believed any more.
	Suspected() bool
	Doubted() bool
}

// Return is why a slot gives a task back that has not ended.
type Return uint8

// The reasons for a Return. In all of them nothing of the task has run.
const (
	// Skipped: its worker drains and has not begun it.
	Skipped Return = iota + 1
	// NeedsThread: it was given to a loop, which can't run it.
	NeedsThread
	// Recalled: its worker leaves, and had not begun it.
	Recalled
	// Stopped: it was to be cancelled, and had not begun.
	Stopped
)

// Death is the end of a worker, for a task that it had.
type Death struct {
	// Blame: the task may have caused it. Alone: no other task can have. Doubt: it may have,
	// although the worker said that it did not run.
	Blame, Alone, Doubt bool
	// Overdue is why the task was to stop, see Owner.Overdue; 0: it was not.
	Overdue plugins.StopReason
	// Worker and Exit say who ended and how.
	Worker, Exit string
}

// Owner has the tasks and the lock. All methods but Do are called with the lock held;
// what must follow the unlock goes to fx.
type Owner interface {
	// Do calls f under the lock, and does what f leaves to be done after it.
	Do(f func(fx *effects.List))

	// Started is of a task that has begun, so long ago.
	Started(h Hold, ago time.Duration, fx *effects.List)
	// Event is of a task that runs; ev lacks its ID and Cursor, which are the owner's.
	Event(h Hold, ev *task.Event, fx *effects.List)
	Ended(h Hold, o plugins.Outcome, fx *effects.List)
	Returned(h Hold, why Return, fx *effects.List)
	// Faulted is of a task whose attempt failed because of the executor: it ends, or runs
	// again elsewhere.
	Faulted(h Hold, o plugins.Outcome, fx *effects.List)
	// Lost is of a task whose worker has died.
	Lost(h Hold, d Death, p *Pool, fx *effects.List)
	// Overdue is of a task that did not stop within its grace. Its Result can be told now;
	// but what it holds it holds until Ended, Returned or Lost follows, and no other
	// attempt may begin before that.
	Overdue(h Hold, reason plugins.StopReason, fx *effects.List)
	// Room: a slot of the pool may be free, or may have become idle.
	Room(p *Pool, fx *effects.List)

	// Runnable reports whether a task of a lane can have a slot now, Waiting how many
	// are in it. Draining: none gets one.
	Runnable(lane int) bool
	Waiting(lane int) int
	// RunnableFor is Runnable for the tasks of those callers for whom allow returns true.
	RunnableFor(lane int, allow func(caller uint32) bool) bool
	Draining() bool
	// Awaited reports whether a task for the pool is still being accepted.
	Awaited(p *Pool) bool
}

// Options are what New needs.
type Options struct {
	Owner    Owner
	Launcher Launcher
	Log      hclog.Logger
	Limits   *config.Limits
	// Arriving bounds what comes from workers until the Owner has it.
	Arriving *share.Pool
	// Elapsed is a clock that goes on evenly, whatever is done to the one on the wall.
	Elapsed func() time.Duration
	// ElapsedLocked is what it showed in this turn under the Owner's lock; nil: as Elapsed.
	ElapsedLocked func() time.Duration
}

// Fleet is the workers of all pools.
type Fleet struct {
	Options
	// life ends when all workers are to end; end ends it.
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup // goroutines
	// patient ends when nothing is to wait for room any more.
	patient context.Context
	hurry   context.CancelFunc

	// The Owner's lock guards these.
	pools []*Pool
	// retired are the pools of earlier configurations, until their tasks have ended.
	retired []*Pool
}

// New returns a Fleet with these pools; Start fills them.
func New(o Options, layouts []Layout) *Fleet {
	if o.ElapsedLocked == nil {
		o.ElapsedLocked = o.Elapsed
	}
	f := &Fleet{Options: o}
	f.life, f.end = context.WithCancel(context.Background())
	f.patient, f.hurry = context.WithCancel(context.Background())
	for i, l := range layouts {
		p := newPool(f, l)
		p.useLanes(LanesPerPool * i)
		f.pools = append(f.pools, p)
	}
	return f
}

// now is ElapsedLocked as the balancers take it.
func (f *Fleet) now() time.Time { return timeOf(f.ElapsedLocked()) }

func timeOf(elapsed time.Duration) time.Time { return time.Unix(0, int64(elapsed)) }

func (f *Fleet) do(g func(fx *effects.List)) { f.Owner.Do(g) }

// PoolsLocked returns the pools of the configuration.
func (f *Fleet) PoolsLocked() []*Pool { return f.pools }

// AllLocked returns the pools, and those of earlier configurations that still have
// workers.
func (f *Fleet) AllLocked() []*Pool { return slices.Concat(f.pools, f.retired) }

// SeatsLocked returns every seat that may have a process.
func (f *Fleet) SeatsLocked() []*Seat {
	var all []*Seat
	for _, p := range f.AllLocked() {
		all = append(all, p.all()...)
	}
	return all
}

// LanesLocked returns how many lanes the owner's queue needs for so many pools, and for
// those that there are.
func (f *Fleet) LanesLocked(pools int) int {
	n := LanesPerPool * pools
	for _, p := range f.AllLocked() {
		n = max(n, p.threads.index+LanesPerPool)
	}
	return n
}

// BusyLocked reports whether any slot has a task.
func (f *Fleet) BusyLocked() bool {
	return slices.ContainsFunc(f.AllLocked(), func(p *Pool) bool { return p.Busy() > 0 })
}

// Start fills every seat and returns when all have a worker. If one can't have, it
// ends the others and returns why.
func (f *Fleet) Start(ctx context.Context) error {
	var seats []*Seat
	f.do(func(*effects.List) { seats = f.SeatsLocked() })
	failures := make(chan error, len(seats))
	for _, s := range seats {
		go func() { failures <- runner{s}.start(ctx) }()
	}
	var failed []error
	for range seats {
		if err := <-failures; err != nil {
			failed = append(failed, err)
		}
	}
	if err := summary(failed); err != nil {
		f.Stop(ctx)
		return err
	}
	for _, s := range seats {
		f.running.Go(runner{s}.supervise)
	}
	f.do(func(fx *effects.List) {
		for _, p := range f.pools {
			p.resizeSpares(fx)
		}
	})
	f.running.Go(f.tend)
	return nil
}

// Stop ends all workers, gently until ctx is done, and all goroutines of the fleet. No
// task is in a slot afterwards.
func (f *Fleet) Stop(ctx context.Context) {
	f.end()
	var seats []*Seat
	f.do(func(*effects.List) { seats = f.SeatsLocked() })
	var all sync.WaitGroup
	for _, s := range seats {
		all.Go(func() { runner{s}.stop(ctx) })
	}
	all.Wait()
	f.hurry() // what has come is read, however much it is
	f.running.Wait()
	f.Launcher.Close()
}

// start starts a goroutine of the fleet after the unlock. Stop waits for it.
func (f *Fleet) start(g func(), fx *effects.List) {
	f.running.Add(1)
	fx.Process(func() {
		defer f.running.Done()
		g()
	})
}

// mostFailures is how many workers' failures are reported one by one; they tend to be
// alike.
const mostFailures = 5

// summary joins errors, of many the first.
func summary(failed []error) error {
	if more := len(failed) - mostFailures; more > 0 {
		return fmt.Errorf("%w\nand %d more", errors.Join(failed[:mostFailures]...), more)
	}
	return errors.Join(failed...)
}

// Restart puts a successor into a worker's seat and returns when that is ready; the
// worker finishes what it has. Errors: api.ErrNoWorker, api.ErrDraining; any other says
// why there is no successor, and the worker goes on.
func (f *Fleet) Restart(ctx context.Context, worker string) error {
	var found *Seat
	var o order
	var answer <-chan error
	f.do(func(*effects.List) {
		for _, p := range f.pools {
			if s := seatOf(worker, p.seats, p.spares, p.relief.seats); s != nil {
				found = s
				o, answer = s.successor("a restart was asked for")
			}
		}
	})
	if found == nil {
		return fmt.Errorf("%w: %.64q", api.ErrNoWorker, worker)
	}
	return runner{found}.order(ctx, o, answer)
}

// seatOf returns the seat whose workers have this id.
func seatOf(id string, among ...[]*Seat) *Seat {
	for _, seats := range among {
		for _, s := range seats {
			if s.spec.ID == id {
				return s
			}
		}
	}
	return nil
}

// Stacks returns what the threads of a worker are doing, as text for people. Errors:
// api.ErrNoWorker, api.ErrNoStacks.
func (f *Fleet) Stacks(ctx context.Context, worker string) (string, error) {
	var process Process
	f.do(func(*effects.List) {
		if s := seatOf(worker, f.SeatsLocked()); s != nil && s.worker != nil {
			process = s.worker.process
		}
	})
	if process == nil {
		return "", fmt.Errorf("%w: %.64q", api.ErrNoWorker, worker)
	}
	text, err := process.Stacks(ctx)
	if err != nil { // it has none, can't tell them just now, or has ended
		return "", fmt.Errorf("%w: worker %s: %w", api.ErrNoStacks, worker, err)
	}
	return text, nil
}

// tendInterval is how often the fleet is looked at.
const tendInterval = time.Second

// tend looks after the fleet until its life ends.
func (f *Fleet) tend() {
	ticker := time.NewTicker(tendInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f.look()
		case <-f.life.Done():
			return
		}
	}
}

// look replaces workers that are too old or too large, and changes their number where
// that is needed.
func (f *Fleet) look() {
	var bounded []*Worker // by how much memory they may have resident
	f.do(func(fx *effects.List) {
		f.retire(fx)
		for _, p := range f.pools {
			p.scale(fx)
		}
		for _, p := range f.AllLocked() {
			p.dismissRelief(false)
			p.isolateMore(fx)
			bounded = append(bounded, p.recycleOld()...)
		}
	})
	for _, w := range bounded {
		if rss, err := w.process.ResidentBytes(); err == nil { // else it has ended
			f.do(func(*effects.List) { w.recycleIfGrown(rss) })
		}
	}
}

// retire dismisses the workers of retired pools that have no task left: none that waits,
// none in a slot, not even one that does not stop, and none to come.
func (f *Fleet) retire(fx *effects.List) {
	f.retired = slices.DeleteFunc(f.retired, func(p *Pool) bool {
		if p.Waiting() > 0 || p.Busy() > 0 || f.Owner.Awaited(p) {
			return false // its lanes are its own, and it needs workers
		}
		if len(p.seats) > 0 {
			p.count, p.config.Spare, p.config.Relief = 0, 0, 0
			p.resize()
			p.dismissRelief(false)
			p.resizeSpares(fx)
		}
		return len(p.all()) == 0
	})
}
