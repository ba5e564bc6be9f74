package daemon

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// A reload is all or nothing until it is proven: of each pool that changes one
// worker is started as the new configuration has it. If one can't be, the others
// end and nothing has happened. Then the configuration holds, and the pools'
// workers are exchanged one by one; tasks go on.

// Reload takes the configuration anew from where it came from, and returns once it
// holds in every worker. Errors: access.Denied; api.ErrReload, and then the old
// configuration still holds unless the error says that the new one does.
func (e *Engine) Reload(ctx context.Context, who access.Identity) error {
	if err := e.administer(who); err != nil {
		return err
	}
	return e.Reconfigure(ctx)
}

// Reconfigure is Reload for whom nobody need ask.
func (e *Engine) Reconfigure(ctx context.Context) error {
	if e.options.Load == nil {
		return fmt.Errorf("%w: there is nothing to take it from", api.ErrReload)
	}
	e.reloads.Lock()
	defer e.reloads.Unlock()
	c, err := e.options.Load()
	if err == nil {
		err = e.apply(ctx, c)
	}
	if err != nil && !errors.Is(err, api.ErrReload) {
		err = fmt.Errorf("%w: %w", api.ErrReload, err)
	}
	return err
}

// apply has the engine run by c. ctx bounds the time until that is proven; what
// follows is not interrupted.
func (e *Engine) apply(ctx context.Context, c *config.Config) error {
	if err := fixed(e.config.Load(), c); err != nil {
		return err
	}
	r := &reload{engine: e, config: c}
	err := r.prepare()
	if err == nil {
		err = r.prove(ctx)
	}
	if err == nil {
		err = r.adopt()
	}
	if err != nil {
		r.discard()
		return fmt.Errorf("%w: %w", api.ErrReload, err)
	}
	e.log.Info("the new configuration holds; workers follow", "pools", len(r.changes))
	if err := r.roll(); err != nil {
		return err
	}
	e.log.Info("reloaded in every worker")
	return nil
}

// fixed refuses what can't change while the daemon runs.
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

// reload is one under way.
type reload struct {
	engine    *Engine
	config    *config.Config
	rules     *access.Rules
	schedules []*recurring
	changes   []*change // one for each pool of config
}

// change is what becomes of one pool.
type change struct {
	pool *pool
	plan plan
	// fresh: the pool is new. exchanged: its workers are others than those that it
	// has.
	fresh, exchanged bool
	// proven is a worker for the first seat, until that has it.
	proven *worker
}

// prepare finds out what changes, and changes nothing.
func (r *reload) prepare() error {
	e := r.engine
	var err error
	if r.rules, r.schedules, err = e.resolve(r.config); err != nil {
		return err
	}
	for _, c := range r.config.Pools {
		plan, err := e.planOf(r.config, c)
		if err != nil {
			return fmt.Errorf("pool %q: %w", c.Name, err)
		}
		e.do(func(*effects.List) { r.changes = append(r.changes, e.changeLocked(plan)) })
	}
	return nil
}

// changeLocked finds out what becomes of the pool that is to be as made says.
func (e *Engine) changeLocked(made plan) *change {
	for _, p := range e.pools {
		if p.config.Name == made.config.Name {
			return &change{pool: p, plan: made, exchanged: !p.sameWorkers(&made)}
		}
	}
	return &change{pool: newPool(e, made), plan: made, fresh: true}
}

// prove starts one worker of each pool that changes.
func (r *reload) prove(ctx context.Context) error {
	for _, c := range r.changes {
		if !c.fresh && !c.exchanged {
			continue
		}
		spec, core := c.plan.post(0)
		var err error
		if c.proven, err = c.first().launch(ctx, spec, core); err != nil {
			return err
		}
	}
	return nil
}

// first is the pool's first seat.
func (c *change) first() (s *seat) {
	c.pool.engine.do(func(*effects.List) { s = c.pool.seats[0] })
	return s
}

// discard ends what was proven and is not used.
func (r *reload) discard() {
	for _, c := range r.changes {
		if c.proven != nil {
			c.proven.process.Kill()
			<-c.proven.process.Done()
		}
	}
}

// adopt makes the configuration the engine's.
func (r *reload) adopt() (err error) {
	r.engine.do(func(*effects.List) { err = r.adoptLocked() })
	if err == nil {
		r.engine.log.SetLevel(hclog.LevelFromString(r.config.Log.Level))
	}
	return err
}

func (r *reload) adoptLocked() error {
	e := r.engine
	if e.stopping {
		return api.ErrDraining
	}
	e.config.Store(r.config)
	e.rules = r.rules
	e.replanLocked(r.schedules, e.plan.Since())
	e.store.SetBounds(ledger.Bounds(r.config.Results))
	old := e.pools
	taken := e.fleetLocked() // the lanes of pools that go are theirs until their tasks have ended
	e.pools = nil
	for _, c := range r.changes {
		if c.fresh {
			c.pool.useLanes(freeLanes(taken))
			taken = append(taken, c.pool)
		}
		if most := c.plan.config.MaxWorkers; most > 0 && !c.fresh { // its size is what it needs now
			c.plan.count = min(max(len(c.pool.seats), c.plan.config.MinWorkers), most)
		}
		c.pool.plan = c.plan
		e.pools = append(e.pools, c.pool)
	}
	for _, p := range old {
		if !slices.Contains(e.pools, p) {
			e.retired = append(e.retired, p)
		}
	}
	e.queue.Reconfigure(e.now(), e.queueOptionsLocked(r.config))
	e.clock.kick()
	return nil
}

// roll exchanges the workers, one at a time in each pool. What fails now has been
// proven before; the seat tries again by itself.
func (r *reload) roll() error {
	failed := make([]error, len(r.changes))
	var all sync.WaitGroup
	for i, c := range r.changes {
		all.Go(func() { failed[i] = c.roll() })
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return &partial{err}
	}
	return nil
}

// partial is an api.ErrReload that does not say that nothing was reloaded.
type partial struct{ why error }

// Error implements error.
func (p *partial) Error() string {
	return "the new configuration holds, but not in every worker: " + p.why.Error()
}

// Unwrap tells errors.Is what p matches.
func (p *partial) Unwrap() []error { return []error{api.ErrReload, p.why} }

func (c *change) roll() error {
	p, e := c.pool, c.pool.engine
	var seats, spares []*seat
	had := 0
	e.do(func(*effects.List) {
		if !c.fresh {
			had = len(p.seats)
		}
		p.resizeLocked()
		seats = slices.Clone(p.seats)
		spares = slices.Clone(p.spares[:min(len(p.spares), p.config.Spare)])
		p.resizeSparesLocked()
	})
	var failed []error
	note := func(err error) {
		if err != nil {
			failed = append(failed, err)
		}
	}
	for i, s := range seats {
		switch {
		case i >= had:
			note(s.fill(c.takeProven()))
		case c.exchanged:
			spec, core := c.plan.post(i)
			note(s.exchangeFor(spec, core, c.takeProven()))
		}
	}
	for i, s := range spares {
		if c.exchanged {
			spec, core := c.plan.spareSpec(i)
			note(s.exchangeFor(spec, core, nil))
		}
	}
	return summary(failed)
}

// exchangeFor gives the seat another kind of worker; ready, if not nil, is one.
func (s *seat) exchangeFor(spec supervisor.Spec, core int, ready *worker) error {
	answer := make(chan error, 1)
	err := s.order(s.pool.engine.life, order{spec: spec, core: core, why: "the configuration has changed", ready: ready, answer: answer}, answer)
	if err != nil && ready != nil {
		ready.process.Kill() // nobody else may know it
	}
	if errors.Is(err, api.ErrNoWorker) {
		return nil // the pool has become smaller meanwhile
	}
	return err
}

func (c *change) takeProven() *worker {
	w := c.proven
	c.proven = nil
	return w
}

// resizeLocked gives the pool as many seats as it should have. Those that are new
// have no worker yet.
func (p *pool) resizeLocked() {
	p.threads.balancer.SetPolicy(p.config.Policy)
	p.loops.balancer.SetPolicy(p.config.Policy)
	for len(p.seats) < p.count {
		p.seats = append(p.seats, p.newSeat(len(p.seats)))
	}
	for len(p.seats) > p.count {
		last := p.seats[len(p.seats)-1]
		p.seats = p.seats[:len(p.seats)-1]
		p.partLocked(last)
	}
}

// partLocked dismisses a seat that is the pool's no longer.
func (p *pool) partLocked(s *seat) {
	p.departing[s] = struct{}{}
	s.dismiss()
}

// fill gives a new seat its first worker, ready or not, and keeps it filled.
func (s *seat) fill(ready *worker) error {
	var err error
	if ready != nil {
		s.take(ready, "")
	} else {
		err = s.start(s.life)
	}
	s.pool.engine.supervisors.Go(s.supervise)
	return err
}

// freeLanes returns the first of lanesPerPool lanes of the queue that none of these
// pools has.
func freeLanes(taken []*pool) int {
	for first := 0; ; first += lanesPerPool {
		if !slices.ContainsFunc(taken, func(p *pool) bool { return p.threads.index == first }) {
			return first
		}
	}
}

// fleetLocked returns the pools, and those of earlier configurations that still have
// tasks.
func (e *Engine) fleetLocked() []*pool { return slices.Concat(e.pools, e.retired) }

// retireLocked lets those pools of earlier configurations go that have no task left.
func (e *Engine) retireLocked() {
	e.retired = slices.DeleteFunc(e.retired, func(p *pool) bool {
		if len(p.seats) > 0 && p.waitingLocked() == 0 && p.busyLocked() == 0 && !e.awaitsLocked(p) {
			p.count, p.config.Spare = 0, 0
			p.resizeLocked()
			p.resizeSparesLocked()
		}
		return len(p.allLocked()) == 0
	})
}

// awaitsLocked tells whether a task for p is being accepted.
func (e *Engine) awaitsLocked(p *pool) bool {
	for r := range e.arriving {
		if r.Pool == p {
			return true
		}
	}
	return false
}
