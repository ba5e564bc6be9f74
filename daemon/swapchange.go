package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// errStopping is why a swap goes back when the daemon ends.
var errStopping = errors.New("the daemon stops")

// change is apply, and the swaps that it makes, which find returns, from their beginning to
// their end. reloads is held.
func (e *Engine) change(ctx context.Context, c *config.Config, find func(*fleet.Rollout) ([]*swap, error)) error {
	old := e.config.Load()
	stop, end := e.stoppable(ctx)
	defer end()
	var all []*swap
	err := e.apply(ctx, stop, c, func(r *fleet.Rollout) (found []*swap, err error) {
		all, err = find(r)
		return all, err
	})
	if err == nil && len(all) > 0 {
		err = e.settle(stop)
	}
	var some *partial
	back := error(nil)
	rolled := errors.As(err, &some) && len(all) > 0
	if rolled { // it passed, and then a worker could not be exchanged, or it was stopped
		err = fmt.Errorf("%w: %w", api.ErrReload, some.why)
		if !errors.Is(some.why, errStopping) {
			back = e.apply(e.life, context.WithoutCancel(e.life), old, nil)
		}
		if back != nil {
			err = fmt.Errorf("%w; and it could not go back: %w", some, back)
		}
	}
	if err == nil {
		if lost := e.noteSwaps(all); lost != nil {
			e.log.Error("a swapped program is not kept for the next daemon", "error", lost)
		}
	}
	for _, s := range all {
		s.stuck = rolled && (s.inPlace || back != nil)
	}
	e.endSwaps(err, all)
	return err
}

// stoppable returns what is done once the change that is under way is to go back, until end.
func (e *Engine) stoppable(ctx context.Context) (stop context.Context, end func()) {
	stop, cancel := context.WithCancelCause(context.WithoutCancel(ctx)) // a client that has gone does not end a canary
	e.do(func(*effects.List) {
		e.swaps.stop = cancel
		if e.stopping {
			cancel(errStopping)
		}
	})
	return stop, func() {
		e.do(func(*effects.List) { e.swaps.stop = nil })
		cancel(nil)
	}
}

// settle is the moment from which a swap can't be stopped any more; a stop that came before is
// not lost.
func (e *Engine) settle(stop context.Context) (err error) {
	e.do(func(*effects.List) {
		if why := context.Cause(stop); why != nil {
			err = &partial{notEverywhere, why}
			return
		}
		e.swaps.stop = nil
	})
	return err
}

// endChange lets the next change begin, and then notes who waits for the end of swaps: they may
// ask for the next at once.
func (e *Engine) endChange() {
	e.reloads.Unlock()
	e.do(func(*effects.List) {
		for _, s := range e.swaps.last {
			if s.status.State.Ended() && !s.told {
				s.told = true
				close(s.ended)
			}
		}
	})
}

// noteBeginLocked notes that swaps have begun.
func (e *Engine) noteBeginLocked(all []*swap, fx *effects.List) {
	for _, s := range all {
		e.swaps.last[s.executor] = s
		fx.Log(hclog.Info, "an executor is being swapped", "executor", s.executor, "by", s.status.By, "command", s.status.Command,
			"sha256", s.status.SHA256, "before", s.status.BeforeCommand, "canary", s.trial.Canary)
	}
}

// prove starts the new workers that show that a change works, and has those of swaps pass
// their checks and their time as canaries. ctx bounds it but for that time, stop all of it.
func (e *Engine) prove(ctx, stop context.Context, rollout *fleet.Rollout, all []*swap) error {
	checks, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(stop, func() { cancel(context.Cause(stop)) })()
	trials, end := context.WithCancelCause(stop)
	defer end(nil)
	for _, s := range all {
		if s.trial.Canary > 0 {
			t := rollout.NewTrial(s.executor, s.trial.Canary, s.inPlace)
			e.do(func(*effects.List) { s.canary = t })
		}
	}
	if err := rollout.Prove(checks); err != nil {
		return err
	}
	if err := e.compare(rollout, all); err != nil {
		return err
	}
	for _, s := range all {
		if s.trial.Probe == nil {
			continue
		}
		if err := rollout.Check(checks, s.executor, func(p *config.Pool) (*plugins.Task, error) {
			return probeTask(e.rules.Load(), s.trial.Probe, p, s.uid)
		}); err != nil {
			return err
		}
	}
	return e.tryAll(trials, end, rollout, all)
}

// compare returns what tasks may have and a new program does not take, which the old one does:
// it would fail those that were accepted. A rollback is not held up by that. New workers count from
// now on for the exchange.
func (e *Engine) compare(rollout *fleet.Rollout, all []*swap) error {
	for _, s := range all {
		if s.status.By == byRollback {
			continue
		}
		lost, err := rollout.Lost(s.executor)
		if err != nil {
			return err
		}
		if len(lost) > 0 {
			e.log.Warn("the new program can do less than the old one", "executor", s.executor, "command", s.status.Command, "lacks", strings.Join(lost, ", "))
		}
		if !s.inPlace {
			rollout.Watch(s.executor)
		}
	}
	return nil
}

// tryAll has the new programs be canaries side by side. The first that does not pass ends the
// others.
func (e *Engine) tryAll(ctx context.Context, end context.CancelCauseFunc, rollout *fleet.Rollout, all []*swap) error {
	var tried sync.WaitGroup
	for _, s := range all {
		if s.canary == nil {
			continue
		}
		e.moveSwaps([]*swap{s}, api.SwapCanary)
		tried.Go(func() {
			if err := rollout.Try(ctx, s.canary, s.trial.CanaryFor); err != nil {
				end(fmt.Errorf("as a canary: %w", err))
			}
		})
	}
	tried.Wait()
	return context.Cause(ctx)
}

// moveSwaps notes how far swaps have come.
func (e *Engine) moveSwaps(all []*swap, to api.SwapState) {
	e.do(func(*effects.List) {
		for _, s := range all {
			s.status.State = to
		}
	})
}

// endSwaps notes the end of swaps; err is why they went back.
func (e *Engine) endSwaps(err error, all []*swap) {
	e.do(func(fx *effects.List) {
		for _, s := range all {
			now := e.momentLocked().Wall
			s.status.Ended, s.status.State = &now, api.SwapDone
			about := []any{"executor", s.executor, "by", s.status.By, "command", s.status.Command, "before", s.status.BeforeCommand}
			if err == nil {
				fx.Log(hclog.Info, "an executor was swapped", append(about, "persists", s.status.Persists)...)
			} else {
				s.fail(err)
				fx.Log(hclog.Error, "a swap failed", append(about, "state", s.status.State, "reason", err)...)
			}
		}
	})
}

// fail notes why the swap has not been done.
func (s *swap) fail(err error) {
	state, persistence := api.SwapWentBack, "it went back"
	if s.stuck {
		state, persistence = api.SwapIncomplete, "it is incomplete"
		if s.inPlace {
			err = fmt.Errorf("%w; the file of the old program has been replaced, so there is nothing to go back to: some workers run the new one, "+
				"and others the old one until they are restarted", err)
		}
	}
	s.status.State, s.status.Why, s.failed = state, err.Error(), err
	s.status.Persists, s.status.Persistence = false, persistence
}

// reloadSwaps finds the swaps that a reload makes. file is what the file says, next that with
// what was swapped before.
func (e *Engine) reloadSwaps(r *fleet.Rollout, file, next *config.Config) (all []*swap, err error) {
	for _, p := range r.Programs() {
		x := executorIn(next, p.Executor)
		if x == nil || executorIn(e.config.Load(), p.Executor) == nil {
			continue // it is new, or nobody uses it any more
		}
		s, err := e.newSwap(*x, x.Trial, byReload, access.Identity{UID: ownUID()})
		if err != nil {
			return nil, err
		}
		s.replaced, s.inPlace = saysOf(executorIn(file, p.Executor)), p.InPlace
		all = append(all, s)
	}
	e.do(func(fx *effects.List) { e.noteBeginLocked(all, fx) })
	return all, nil
}

// lookUp returns the path of an executor's program and its hash, which must be as x says.
func (e *Engine) lookUp(x *config.Executor) (path, hash string, err error) {
	if path, err = supervisor.Find(x.Command, e.options.BinDir); err != nil {
		return "", "", err
	}
	if hash, err = e.programs.hashFile(path); err != nil {
		return "", "", err
	}
	if x.SHA256 != "" && !strings.EqualFold(x.SHA256, hash) {
		return "", "", fmt.Errorf("the sha256 of %s is %s, not %s", path, hash, strings.ToLower(x.SHA256))
	}
	return path, hash, nil
}

// hashBefore returns the hash of the program that an executor's workers run, or of that which
// it has if there are none; empty: it is not known.
func (e *Engine) hashBefore(x *config.Executor) string {
	if hash, runs := e.hashRunning(x.Name); runs {
		return hash
	}
	_, hash, err := e.lookUp(x)
	if err != nil {
		return ""
	}
	return hash
}

// hashFile returns the SHA-256 of a file.
func (p *programs) hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return p.hashOf(f)
}
