package daemon

import (
	"context"
	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
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
		e.drainLocked(fx)
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
			err = fmt.Errorf("%w: it is stopping", api.ErrDraining)
		case e.draining:
			fx.Log(hclog.Info, "resumed", "uid", who.UID)
			e.draining = false
		}
	})
	e.timers.kick() // which dispatches
	return err
}

func (e *Engine) administer(who access.Identity) error {
	return e.rules.Load().Check(who, access.Request{Action: access.Administer})
}

// Administers reports whether the caller may do everything. It does not wait for the
// engine.
func (e *Engine) Administers(who access.Identity) bool { return e.rules.Load().Administers(who) }

// MaySubmit returns access.Denied if the caller may not submit at all: what it sends
// need not be read then. It does not wait for the engine.
func (e *Engine) MaySubmit(who access.Identity) error { return e.rules.Load().MaySubmit(who) }

// RestartWorker puts a successor into a worker's seat and returns when that is
// ready; the worker finishes its tasks. Errors: access.Denied, api.ErrNoWorker; any
// other explains why there is no successor, and then the worker goes on.
func (e *Engine) RestartWorker(ctx context.Context, who access.Identity, worker string) error {
	if err := e.administer(who); err != nil {
		return err
	}
	return e.fleet.Restart(ctx, worker)
}

// stacksTimeout is for how long Stacks waits for a worker's interpreter lock.
const stacksTimeout = 2 * time.Second

// Stacks describes what the threads of a worker are doing, as text for people. Of
// several workers with this id it asks the one that takes tasks. Errors: access.Denied,
// api.ErrNoWorker, api.ErrNoStacks.
func (e *Engine) Stacks(ctx context.Context, who access.Identity, worker string) (string, error) {
	if err := e.administer(who); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, stacksTimeout)
	defer cancel()
	return e.fleet.Stacks(ctx, worker)
}

// Configuration returns what holds now. Errors: access.Denied.
func (e *Engine) Configuration(_ context.Context, who access.Identity) (api.Configuration, error) {
	if err := e.administer(who); err != nil {
		return api.Configuration{}, err
	}
	c := e.config.Load()
	blocks, err := c.JSON()
	return api.Configuration{Text: string(c.Text()), Blocks: blocks}, err
}
