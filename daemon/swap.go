package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/swapfile"
	"cpulb/internal/trust"
)

// A swap gives an executor another program while its pools work. It is a reload of a
// configuration that differs in the executor's block, which a call has asked for or the file
// has. One worker of each pool is started with the new program and checked; it may be a
// canary for a while; then all workers are exchanged, one at a time in each pool. Any failure
// leaves the old program with all tasks. Nothing that runs is cut off or run again: a worker
// that leaves ends what it has, see fleet's fence.go.

// swap is one, from its beginning to its end and beyond. The engine's lock guards status.
type swap struct {
	executor string
	status   api.SwapStatus
	// trial is how the program is tried, and uid as whom its probe runs in pools that run
	// tasks as their callers.
	trial config.Trial
	uid   uint32
	// inPlace: the file of the program before has been replaced. canary is nil before the
	// trial, and if there is none.
	inPlace bool
	canary  *fleet.Trial
	// program gets all tasks, which before has now; replaced is what the configuration says.
	program, before, replaced swapfile.Program
	// ended is closed at its end, and told then; failed is why it is not done. stuck: some
	// workers have been exchanged, and it can't go back.
	ended       chan struct{}
	told, stuck bool
	failed      error
}

// swaps are those that the engine knows. The engine's lock guards them.
type swaps struct {
	// last is each executor's last one.
	last map[string]*swap
	// stop ends those that are under way, which go back; nil: there are none, or they are done
	// but for what is to be written down.
	stop func(why error)
}

// What has asked for a swap, see api.SwapStatus.
const (
	bySwap     = "swap"
	byRollback = "rollback"
	byReload   = "reload"
)

// Swap has an executor's workers run another program. It returns once that is done, or has
// been under way for wait. Errors: access.Denied, api.ErrNoExecutor, api.ErrSwapInvalid,
// api.ErrSwapConflict; api.ErrSwapFailed says why the old program still has all tasks.
func (e *Engine) Swap(ctx context.Context, who access.Identity, name string, req *api.SwapRequest, wait time.Duration) (api.ExecutorStatus, error) {
	if err := e.administer(who); err != nil {
		return api.ExecutorStatus{}, err
	}
	x, err := e.executorOf(name)
	if err != nil {
		return api.ExecutorStatus{}, err
	}
	next, trial, err := requested(x, req)
	if err != nil {
		return api.ExecutorStatus{}, err
	}
	if len(req.Probe) > 0 && trial.Probe != nil {
		if err := e.mayProbe(who, name, trial.Probe); err != nil {
			return api.ExecutorStatus{}, err
		}
	}
	return e.beginSwap(ctx, who, bySwap, next, trial, wait)
}

// Rollback has an executor's workers run the program again that they ran before the last
// swap; a swap that is under way goes back. It returns as Swap does, with the same errors.
func (e *Engine) Rollback(ctx context.Context, who access.Identity, name string, wait time.Duration) (api.ExecutorStatus, error) {
	if err := e.administer(who); err != nil {
		return api.ExecutorStatus{}, err
	}
	if _, err := e.executorOf(name); err != nil {
		return api.ExecutorStatus{}, err
	}
	s, stopped, err := e.stopSwap(name, errors.New("a rollback was asked for"))
	switch {
	case err != nil:
		return api.ExecutorStatus{}, err
	case s != nil && s.status.By == byRollback: // which never changes
		err := s.wait(ctx, wait)
		return e.executorStatus(name), err
	case stopped:
		err := s.wait(ctx, wait)
		status := e.executorStatus(name)
		if errors.Is(err, api.ErrSwapFailed) && status.Swap.State == api.SwapWentBack { // which is what was asked for
			err = nil
		}
		return status, err
	case s != nil: // it is as good as done
		select {
		case <-s.ended:
		case <-ctx.Done():
			return api.ExecutorStatus{}, context.Cause(ctx)
		}
	}
	x, err := e.before(name)
	if err != nil {
		return api.ExecutorStatus{}, err
	}
	trial := x.Trial
	trial.Canary, trial.Probe = 0, nil // it has run all tasks before, and the probe may be what is wrong
	return e.beginSwap(ctx, who, byRollback, x, trial, wait)
}

// stopSwap makes the swap of an executor that is under way go back; nil: there is none. It can
// come too late: then the swap is not stopped, and about to end. Nor is one that is a rollback.
func (e *Engine) stopSwap(name string, why error) (s *swap, stopped bool, err error) {
	e.do(func(*effects.List) {
		last := e.swaps.last[name]
		switch {
		case last == nil || last.told:
			return
		case last.status.By == byRollback: // it goes on: who asks for one twice means the same
			s = last
			return
		case last.inPlace && last.status.State == api.SwapRolling:
			err = fmt.Errorf("%w: executor %q is being swapped (rolling), and can't go back: the file of the old program has been replaced", api.ErrSwapConflict, name)
			return
		}
		s, stopped = last, e.swaps.stop != nil && !last.status.State.Ended()
		if stopped {
			e.swaps.stop(why)
		}
	})
	return s, stopped, err
}

// before returns the executor's block as it was before the last swap.
func (e *Engine) before(name string) (config.Executor, error) {
	x, err := e.executorOf(name)
	if err != nil {
		return x, err
	}
	var was *swapfile.Program
	e.do(func(*effects.List) { was = e.overrides[name].Before })
	if was == nil {
		return x, fmt.Errorf("%w: executor %q has run no other program before, or has gone back to it already", api.ErrSwapConflict, name)
	}
	x.Command, x.SHA256 = was.Command, was.Pin
	if was.SHA256 == "" {
		return x, nil
	}
	_, hash, err := e.lookUp(&x)
	if err == nil && hash != was.SHA256 {
		err = fmt.Errorf("its sha256 is %s now, and was %s", hash, was.SHA256)
	}
	if err != nil {
		return x, fmt.Errorf("%w: there is nothing to go back to: %s is not the program any more that ran before: %w", api.ErrSwapConflict, x.Command, err)
	}
	return x, nil
}

// beginSwap starts a swap, unless another change of the workers is under way.
func (e *Engine) beginSwap(ctx context.Context, who access.Identity, by string, x config.Executor, trial config.Trial, wait time.Duration) (api.ExecutorStatus, error) {
	none := api.ExecutorStatus{}
	if !e.reloads.TryLock() {
		return none, e.conflict()
	}
	s, err := e.newSwap(x, trial, by, who)
	if err != nil && !errors.Is(err, api.ErrSwapConflict) && !errors.Is(err, access.ErrDenied) {
		err = fmt.Errorf("%w: %w", api.ErrSwapFailed, err)
	}
	if err == nil {
		next := withExecutor(e.config.Load(), x)
		e.do(func(fx *effects.List) {
			if !e.running || e.stopping {
				err = fmt.Errorf("%w: the daemon is starting or stopping", api.ErrSwapConflict)
				return
			}
			e.noteBeginLocked([]*swap{s}, fx)
			e.loops.Go(func() {
				defer e.endChange()
				_ = e.change(e.life, next, func(*fleet.Rollout) ([]*swap, error) { return []*swap{s}, nil }) // its status says how it ended
			})
		})
	}
	if err != nil {
		e.reloads.Unlock()
		return none, err
	}
	err = s.wait(ctx, wait)
	return e.executorStatus(x.Name), err
}

// conflict returns what the change of the workers is that is under way.
func (e *Engine) conflict() error {
	if err := e.swapping(); err != nil {
		return err
	}
	return fmt.Errorf("%w: the configuration is being reloaded", api.ErrSwapConflict)
}

// swapping returns that a swap is under way; nil: none is.
func (e *Engine) swapping() (err error) {
	e.do(func(*effects.List) {
		for name, s := range e.swaps.last {
			if !s.status.State.Ended() {
				err = fmt.Errorf("%w: executor %q is being swapped (%s); wait for its end, or roll it back", api.ErrSwapConflict, name, s.status.State)
			}
		}
	})
	return err
}

// newSwap looks at the program of x, and starts nothing.
func (e *Engine) newSwap(x config.Executor, trial config.Trial, by string, who access.Identity) (*swap, error) {
	old, err := e.executorOf(x.Name)
	if err != nil {
		return nil, err
	}
	if by == bySwap && !slices.ContainsFunc(e.config.Load().Pools, func(p config.Pool) bool { return p.Executor == x.Name }) {
		return nil, fmt.Errorf("%w: no pool uses executor %q; nothing can be checked", api.ErrSwapConflict, x.Name)
	}
	path, hash, err := e.lookUp(&x)
	if err != nil {
		return nil, err
	}
	if by != byReload {
		if err := e.mayRun(who, path); err != nil {
			return nil, err
		}
	}
	s := &swap{executor: x.Name, trial: trial, uid: who.UID, program: saysOf(&x), before: saysOf(&old), replaced: saysOf(&old), ended: make(chan struct{})}
	s.program.SHA256, s.before.SHA256 = hash, e.hashBefore(&old)
	if by != byReload && s.program == s.before {
		return nil, fmt.Errorf("%w: executor %q runs %s already, with this content", api.ErrSwapConflict, x.Name, path)
	}
	s.inPlace = s.program.Command == s.before.Command && s.program.SHA256 != s.before.SHA256
	s.status = api.SwapStatus{State: api.SwapStarting, By: by, Command: x.Command, SHA256: hash, BeforeCommand: old.Command, BeforeSHA256: s.before.SHA256}
	e.do(func(*effects.List) {
		s.status.Began = e.momentLocked().Wall
		if o, ok := e.overrides[x.Name]; ok {
			s.replaced = o.Replaced
		}
	})
	s.status.Persistence = "it is not done"
	return s, nil
}

// mayRun returns why who may not have a program run as the daemon, which can be root: an
// administrator need not be. Whoever can write the program, or put another one at its path,
// could have anything run.
func (e *Engine) mayRun(who access.Identity, path string) error {
	if e.rules.Load().MayRunAnything(who) {
		return nil
	}
	if err := trust.File(path, os.Geteuid()); err != nil {
		return &access.Denied{Field: "command", Problem: fmt.Sprintf("command: uid %d may only have programs run that nobody but root and the "+
			"daemon's user (uid %d) can change: %s", who.UID, os.Geteuid(), err)}
	}
	return nil
}

// persistence says whether a swap outlives the daemon once it is done.
func (e *Engine) persistence(by string) (persists bool, why string) {
	switch {
	case by == byReload:
		return true, "the configuration says so"
	case e.swapFolder() == "":
		return false, "there is no journal: the next daemon runs what the configuration says"
	}
	return true, "it is kept beside the journal, and holds until the configuration names another program"
}

// wait returns at the end of the swap, with the reason why it went back, or after d.
func (s *swap) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.failed != nil { // which does not change any more
		return fmt.Errorf("%w: %w", api.ErrSwapFailed, s.failed)
	}
	return nil
}
