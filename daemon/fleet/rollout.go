package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// A rollout is all or nothing until it is proven: of each pool that changes one
// worker is started as the new configuration has it. If one can't be, the others
// end and nothing has happened. Then the configuration holds, and the pools'
// workers are exchanged one by one; tasks go on.

// Rollout brings the fleet to new layouts: Prove, then AdoptLocked and Roll, or Discard. It
// runs without the lock, but for AdoptLocked.
type Rollout struct {
	fleet   *Fleet
	changes []*change // one for each pool
}

// change is what becomes of one pool.
type change struct {
	pool   *Pool
	layout Layout
	// fresh: the pool is new. exchanged: its workers are others than those that it
	// has.
	fresh, exchanged bool
	// proven is a worker for the first seat, or the canary, until that has it.
	proven *Worker
	// trial is what the new workers have to pass, nil: none; canary and control are its seats
	// here, and controls a worker for the latter.
	trial           *Trial
	canary, control *Seat
	controls        *Worker
	described       *plugins.Description // what was proven can do
	// watched: a new worker that fails by itself ends the exchange.
	watched bool
}

// NewRollout finds out what changes, and changes nothing.
func (f *Fleet) NewRollout(layouts []Layout) *Rollout {
	r := &Rollout{fleet: f}
	f.do(func(*effects.List) {
		for _, l := range layouts {
			r.changes = append(r.changes, f.changeToLocked(l))
		}
	})
	return r
}

// changeToLocked finds out what becomes of the pool that is to be as l says.
func (f *Fleet) changeToLocked(l Layout) *change {
	for _, p := range f.pools {
		if p.Name() == l.config.Name {
			return &change{pool: p, layout: l, exchanged: !p.sameWorkers(&l)}
		}
	}
	return &change{pool: newPool(f, l), layout: l, fresh: true}
}

// Program is another program for the workers of an executor, by their paths.
type Program struct {
	Executor, Path, Before string
	// InPlace: the old one's file has been replaced by it.
	InPlace bool
}

// Programs returns the programs that change in pools that there are, one for each executor.
func (r *Rollout) Programs() (all []Program) {
	r.fleet.do(func(*effects.List) {
		for _, c := range r.changes {
			old, l := &c.pool.Layout, &c.layout
			known := slices.ContainsFunc(all, func(p Program) bool { return p.Executor == l.config.Executor })
			if c.fresh || known || old.config.Executor != l.config.Executor || old.program == l.program && old.spec.Command == l.spec.Command && old.spec.SHA256 == l.spec.SHA256 {
				continue
			}
			all = append(all, Program{l.config.Executor, l.spec.Command, old.spec.Command, old.spec.Command == l.spec.Command && old.program != l.program})
		}
	})
	return all
}

// Prove starts one worker of each pool that changes.
func (r *Rollout) Prove(ctx context.Context) error {
	for _, c := range r.changes {
		if !c.fresh && !c.exchanged {
			continue
		}
		if err := c.prove(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) prove(ctx context.Context) (err error) {
	if c.trial != nil {
		err = c.proveTrial(ctx)
	} else {
		var first *Seat
		c.pool.fleet.do(func(*effects.List) { first = c.pool.seats[0] })
		spec, core := c.layout.post(0)
		c.proven, err = runner{first}.launch(ctx, spec, core)
	}
	if err == nil {
		c.described = &c.proven.described
	}
	return err
}

// CanStart starts a worker in each pool of these executors, and ends it again. It is for
// before Start, as Replace is.
func (f *Fleet) CanStart(ctx context.Context, executors []string) error {
	for _, p := range f.pools {
		if !slices.Contains(executors, p.config.Executor) || len(p.seats) == 0 {
			continue
		}
		first := p.seats[0]
		w, err := runner{first}.launch(ctx, first.spec, first.core)
		if err != nil {
			return err
		}
		w.process.Kill()
		<-w.process.Done()
	}
	return nil
}

// Replace has the pools be as other layouts of the same configuration say, which differ in
// their programs.
func (f *Fleet) Replace(layouts []Layout) {
	for i, p := range f.pools {
		p.Layout = layouts[i]
		for n, s := range p.seats {
			s.spec, s.core = p.post(n)
		}
	}
}

// Discard ends what was proven and is not used.
func (r *Rollout) Discard() {
	r.fleet.do(func(*effects.List) {
		for _, c := range r.changes {
			if c.fresh {
				c.pool.discard()
			}
			for _, s := range []*Seat{c.canary, c.control} {
				if s != nil {
					s.dismiss()
				}
			}
		}
	})
	for _, c := range r.changes {
		for _, w := range []*Worker{c.proven, c.controls} {
			if w != nil {
				w.process.Kill()
				<-w.process.Done()
			}
		}
	}
}

// AdoptLocked makes the new layouts and limits hold.
func (r *Rollout) AdoptLocked(limits *config.Limits) {
	f := r.fleet
	f.Limits = limits
	old, taken := f.pools, f.AllLocked() // the lanes of pools that go are theirs until their tasks have ended
	f.pools = nil
	for _, c := range r.changes {
		if c.fresh {
			c.pool.useLanes(freeLanes(taken))
			taken = append(taken, c.pool)
		}
		if most := c.layout.config.MaxWorkers; most > 0 && !c.fresh { // its size is what it needs now
			c.layout.count = min(max(len(c.pool.seats), c.layout.config.MinWorkers), most)
		}
		c.pool.Layout = c.layout
		if c.described != nil {
			c.pool.described = *c.described
		}
		f.pools = append(f.pools, c.pool)
	}
	for _, p := range old {
		if !slices.Contains(f.pools, p) {
			f.retired = append(f.retired, p)
		}
	}
}

// freeLanes returns the first of LanesPerPool lanes of the queue that none of these
// pools has.
func freeLanes(taken []*Pool) int {
	for first := 0; ; first += LanesPerPool {
		if !slices.ContainsFunc(taken, func(p *Pool) bool { return p.threads.index == first }) {
			return first
		}
	}
}

// Roll exchanges the workers, one at a time in each pool. A start that fails now has
// been proven to work; the seat tries again by itself. Once ctx is done no further worker is
// exchanged, and its cause is among the errors.
func (r *Rollout) Roll(ctx context.Context) error {
	ctx, end := r.watch(ctx)
	defer end()
	failed := make([]error, len(r.changes))
	var all sync.WaitGroup
	for i, c := range r.changes {
		all.Go(func() { failed[i] = c.roll(ctx) })
	}
	all.Wait()
	for _, c := range r.changes {
		if w := c.takeProven(); w != nil { // ctx was done before a seat could have it
			w.process.Kill()
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return context.Cause(ctx) // of a pool that was ready before another
}

func (c *change) roll(ctx context.Context) error {
	p := c.pool
	var seats, spares []*Seat
	had := 0
	p.fleet.do(func(fx *effects.List) {
		if !c.fresh {
			had = len(p.seats)
		}
		p.resize()
		seats = slices.Clone(p.seats)
		spares = slices.Clone(p.spares[:min(len(p.spares), p.config.Spare)])
		p.resizeSpares(fx)
		p.dismissRelief(c.exchanged)
		if c.exchanged {
			p.dismissAlone()
		}
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
			note(runner{s}.fill(c.takeProven()))
		case c.exchanged && ctx.Err() == nil:
			spec, core := c.layout.post(i)
			note(runner{s}.exchangeFor(spec, core, c.takeProven()))
		}
	}
	for i, s := range spares {
		if c.exchanged && ctx.Err() == nil {
			spec, core := c.layout.spareSpec(i)
			note(runner{s}.exchangeFor(spec, core, nil))
		}
	}
	if c.exchanged {
		note(context.Cause(ctx))
	}
	return summary(failed)
}

func (c *change) takeProven() *Worker {
	w := c.proven
	c.proven = nil
	return w
}

// fill gives a new seat its first worker, ready or not, and keeps it filled.
func (r runner) fill(ready *Worker) error {
	var err error
	if ready != nil {
		r.take(ready, "")
	} else {
		err = r.start(r.life)
	}
	r.fleet().running.Go(r.supervise)
	return err
}

// exchangeFor gives the seat another kind of worker; ready, if not nil, is one.
func (r runner) exchangeFor(spec supervisor.Spec, core int, ready *Worker) error {
	answer := make(chan error, 1)
	err := r.order(r.fleet().life, order{spec: spec, core: core, why: "the configuration has changed", ready: ready, answer: answer}, answer)
	if err != nil && ready != nil {
		ready.process.Kill() // nobody else may know it
	}
	if errors.Is(err, api.ErrNoWorker) {
		return nil // the pool has become smaller meanwhile
	}
	return err
}
