package daemon

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/ledger"

	"github.com/hashicorp/go-hclog"
)

// Reload reads the configuration again and returns once it holds in every worker. Errors: access.Denied; api.ErrReload, and then the old
// configuration still holds unless the error says that the new one does.
func (e *Engine) Reload(ctx context.Context, who access.Identity) error {
	if err := e.administer(who); err != nil {
		return err
	}
	return e.Reconfigure(ctx)
}

// Reconfigure is Reload without the access check, for SIGHUP.
func (e *Engine) Reconfigure(ctx context.Context) error {
	if e.options.Load == nil {
		return fmt.Errorf("%w: there is nothing to take it from", api.ErrReload)
	}
	if err := e.lockReloads(); err != nil {
		return err
	}
	defer e.endChange()
	file, err := e.options.Load()
	if err == nil {
		err = e.reload(ctx, file)
	}
	if err != nil && !errors.Is(err, api.ErrReload) {
		err = fmt.Errorf("%w: %w", api.ErrReload, err)
	}
	return err
}

// lockReloads waits for another reload, but not for a swap, which can take long.
func (e *Engine) lockReloads() error {
	if e.reloads.TryLock() {
		return nil
	}
	if err := e.swapping(); err != nil {
		return err
	}
	e.reloads.Lock()
	return nil
}

// reload makes what the file says hold, but for the programs that were swapped since.
func (e *Engine) reload(ctx context.Context, file *config.Config) error {
	var was overrides
	e.do(func(*effects.List) { was = e.overrides })
	c, _, words := was.over(file)
	err := e.change(ctx, c, func(r *fleet.Rollout) ([]*swap, error) { return e.reloadSwaps(r, file, c) })
	if err != nil {
		return err
	}
	for _, text := range words {
		e.log.Warn(text)
	}
	return e.dropOverrides(file)
}

// apply makes c the configuration, with swaps that find returns; nil: none. ctx bounds the proof that c works, and stop all of it:
// an exchange of workers that it interrupts is partial.
func (e *Engine) apply(ctx, stop context.Context, c *config.Config, find func(*fleet.Rollout) ([]*swap, error)) error {
	if err := fixed(e.config.Load(), c); err != nil {
		return err
	}
	rules, schedules, err := resolve(c, e.options.Private)
	if err != nil {
		return err
	}
	layouts, err := e.layouts(c)
	if err != nil {
		return err
	}
	rollout := e.fleet.NewRollout(layouts)
	var swaps []*swap
	if find != nil {
		swaps, err = find(rollout)
	}
	if err == nil {
		err = e.prove(ctx, stop, rollout, swaps)
	}
	if err == nil {
		e.moveSwaps(swaps, api.SwapRolling)
		err = context.Cause(stop)
	}
	if err == nil {
		err = e.adopt(c, rules, schedules, rollout)
	}
	if err == nil {
		e.descriptors.Store(descriptors(layouts))
	}
	if err != nil {
		rollout.Discard()
		return err
	}
	if e.options.Reloaded != nil {
		e.options.Reloaded(c)
	}
	e.log.SetLevel(hclog.LevelFromString(c.Log.Level))
	e.log.Info("the new configuration holds; workers follow", "pools", len(layouts))
	if err := rollout.Roll(stop); err != nil {
		return &partial{notEverywhere, err}
	}
	e.log.Info("reloaded in every worker")
	return nil
}

// adopt makes a configuration that has been proven the engine's.
func (e *Engine) adopt(c *config.Config, rules *access.Rules, schedules []*recurring, rollout *fleet.Rollout) (err error) {
	e.do(func(fx *effects.List) {
		if e.stopping {
			err = api.ErrDraining
			return
		}
		e.config.Store(c)
		e.rules.Store(rules)
		e.replanLocked(schedules, e.plan.States())
		e.store.SetBounds(ledger.Bounds(c.Results))
		e.incoming.Resize(c.Limits.Incoming())
		rollout.AdoptLocked(&c.Limits)
		e.queue.Reconfigure(e.momentLocked(), e.queueOptionsLocked(c))
		for _, p := range e.fleet.AllLocked() {
			p.EmptyWindows(fx) // what has not begun is asked anew whether it may
		}
		e.timers.kick()
	})
	return err
}

// partial is an api.ErrReload that does not say that nothing was reloaded.
type partial struct {
	but string // what is not as it should be
	why error
}

// notEverywhere is a partial's but.
const notEverywhere = "not in every worker"

// Error implements error.
func (p *partial) Error() string {
	return "the new configuration holds, but " + p.but + ": " + p.why.Error()
}

// Unwrap makes p match api.ErrReload and its reason.
func (p *partial) Unwrap() []error { return []error{api.ErrReload, p.why} }

// fixed names the keys that differ and can't change while the daemon runs.
func fixed(old, c *config.Config) error {
	var changed []string
	for _, key := range []struct {
		name string
		of   func(*config.Config) any
	}{
		{"socket.path", func(c *config.Config) any { return c.Socket.Path }},
		{"socket.mode", func(c *config.Config) any { return c.Socket.Mode }},
		{"socket.group", func(c *config.Config) any { return c.Socket.Group }},
		{"journal.sync", func(c *config.Config) any { return c.Journal.Sync }},
		{"journal.interval", func(c *config.Config) any { return c.Journal.Interval }},
		{"limits.body_size", func(c *config.Config) any { return c.Limits.BodyBytes }},
		{"limits.connections", func(c *config.Config) any { return c.Limits.Connections }},
		{"log.format", func(c *config.Config) any { return c.Log.Format }},
		{"tracing.endpoint", func(c *config.Config) any { return c.Tracing.Endpoint }},
		{"tracing.protocol", func(c *config.Config) any { return c.Tracing.Protocol }},
	} {
		if !reflect.DeepEqual(key.of(old), key.of(c)) {
			changed = append(changed, key.name)
		}
	}
	if len(changed) > 0 {
		return fmt.Errorf("%w: can't change while the daemon runs: %s", api.ErrReload, strings.Join(changed, ", "))
	}
	return nil
}
