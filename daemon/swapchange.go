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
	var all []*swap
	err := e.apply(ctx, c, func(r *fleet.Rollout) (found []*swap, err error) {
		all, err = find(r)
		return all, err
	})
	var some *partial
	if errors.As(err, &some) && len(all) > 0 { // it passed, and then a worker could not be exchanged
		back := e.apply(e.life, old, nil)
		if err = fmt.Errorf("%w: %w", api.ErrReload, some.why); back != nil {
			err = fmt.Errorf("%w; and it could not go back: %w", some, back)
		}
	}
	if err == nil {
		if lost := e.noteSwaps(all); lost != nil {
			e.log.Error("a swapped program is not kept for the next daemon", "error", lost)
		}
	}
	e.endSwaps(err, all)
	return err
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
// their checks and their time as canaries. ctx bounds it but for that time.
func (e *Engine) prove(ctx context.Context, rollout *fleet.Rollout, all []*swap) error {
	checks, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	trials, end := context.WithCancelCause(context.WithoutCancel(ctx)) // a client that has gone does not end them
	defer end(nil)
	e.do(func(*effects.List) {
		e.swaps.stop = func(why error) {
			cancel(why)
			end(why)
		}
		if e.stopping {
			e.swaps.stop(errStopping)
		}
	})
	defer e.do(func(*effects.List) { e.swaps.stop = nil })
	for _, s := range all {
		if s.trial.Canary > 0 {
			t := rollout.NewTrial(s.executor, s.trial.Canary, s.inPlace)
			e.do(func(*effects.List) { s.canary = t })
		}
	}
	if err := rollout.Prove(checks); err != nil {
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
				s.status.State, s.status.Why, s.failed = api.SwapWentBack, err.Error(), err
				s.status.Persists, s.status.Persistence = false, "it went back"
				fx.Log(hclog.Error, "a swap went back", append(about, "reason", err)...)
			}
			close(s.ended)
		}
	})
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

// hashBefore returns the hash of the program that an executor's workers run; empty: it is not
// known.
func (e *Engine) hashBefore(x *config.Executor) string {
	var pid int
	var path string
	var id fleet.FileID
	e.do(func(*effects.List) {
		for _, p := range e.fleet.PoolsLocked() {
			if p.Config().Executor == x.Name && pid == 0 {
				pid, _ = p.Runs()
				path, id = p.Program()
			}
		}
	})
	if now, err := fleet.Identify(path); pid != 0 && (err != nil || now != id) { // another one is at its path now
		return e.programs.hash(pid)
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
