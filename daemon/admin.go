package daemon

import (
	"context"
	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/plugins"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Drain stops acceptance and dispatch: running tasks end, what is queued waits,
// for Resume or, in the journal, for the next start. Errors: access.Denied.
func (e *Engine) Drain(who access.Identity) error {
	if err := e.administer(who); err != nil {
		return err
	}
	e.do(func(fx *effects.List) {
		if !e.draining {
			fx.Log(hclog.Info, "draining: nothing is accepted or started until it is resumed", "uid", who.UID)
		}
		e.drainLocked()
		e.refuseBlocked(fx)
	})
	return nil
}

// Resume ends a Drain. Errors: access.Denied, api.ErrDraining once the engine is
// being stopped.
func (e *Engine) Resume(who access.Identity) (err error) {
	if err := e.administer(who); err != nil {
		return err
	}
	e.do(func(fx *effects.List) {
		switch {
		case e.stopping:
			err = fmt.Errorf("%w for good", api.ErrDraining)
		case e.draining:
			fx.Log(hclog.Info, "resumed", "uid", who.UID)
			e.draining = false
		}
	})
	e.clock.kick() // which dispatches
	return err
}

func (e *Engine) administer(who access.Identity) (err error) {
	e.do(func(*effects.List) { err = e.rules.Check(who, access.Request{Action: access.Administer}) })
	return err
}

// Administers reports whether who may do everything.
func (e *Engine) Administers(who access.Identity) bool { return e.administer(who) == nil }

// RestartWorker puts a successor into a worker's seat and returns when that is
// ready; the worker finishes what it has. Errors: access.Denied, api.ErrNoWorker;
// any other says why there is no successor, and the worker goes on.
func (e *Engine) RestartWorker(ctx context.Context, who access.Identity, worker string) error {
	if err := e.administer(who); err != nil {
		return err
	}
	var found *seat
	var o order
	var answer <-chan error
	e.do(func(*effects.List) {
		for _, p := range e.pools {
			if s := seatLocked(worker, p.seats, p.spares); s != nil {
				found = s
				o, answer = s.successorLocked("a restart was asked for")
			}
		}
	})
	if found == nil {
		return fmt.Errorf("%w: %.64q", api.ErrNoWorker, worker)
	}
	return found.order(ctx, o, answer)
}

// seatLocked returns the seat whose workers have this id.
func seatLocked(id string, among ...[]*seat) *seat {
	for _, seats := range among {
		for _, s := range seats {
			if s.spec.ID == id {
				return s
			}
		}
	}
	return nil
}

// stacksTimeout is for how long Stacks waits for a worker's interpreter lock.
const stacksTimeout = 2 * time.Second

// Stacks tells what the threads of a worker are doing, as text for people. Errors:
// access.Denied, api.ErrNoWorker, api.ErrNoStacks.
func (e *Engine) Stacks(ctx context.Context, who access.Identity, worker string) (string, error) {
	if err := e.administer(who); err != nil {
		return "", err
	}
	var process fleet.Process
	e.do(func(*effects.List) {
		if s := seatLocked(worker, e.seatsLocked()); s != nil && s.worker != nil {
			process = s.worker.process
		}
	})
	if process == nil {
		return "", fmt.Errorf("%w: %.64q", api.ErrNoWorker, worker)
	}
	ctx, cancel := context.WithTimeout(ctx, stacksTimeout)
	defer cancel()
	text, err := process.Stacks(ctx)
	if errors.Is(err, plugins.ErrNoStacks) {
		return "", fmt.Errorf("%w: worker %s: %w", api.ErrNoStacks, worker, err)
	}
	return text, err
}
