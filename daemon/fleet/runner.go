package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// runner is the goroutine that keeps one seat filled. It starts processes and waits,
// so it runs without the lock; nobody else puts a worker into the seat.
type runner struct{ *Seat }

func (r runner) fleet() *Fleet { return r.pool.fleet }

func (r runner) do(f func(fx *effects.List)) { r.pool.fleet.do(f) }

// launch starts a process for the seat. Nobody gives it a task until it is seated.
func (r runner) launch(ctx context.Context, spec supervisor.Spec, core int) (*Worker, error) {
	w := newWorker(r.Seat, spec, core)
	process, err := r.fleet().Launcher.Start(ctx, spec, func(first, count int) plugins.Handler { return handler{w, first, count} })
	if err != nil {
		return nil, fmt.Errorf("worker %s: %w", spec.ID, err)
	}
	d := process.Description()
	r.do(func(fx *effects.List) { w.attach(process, d, fx) })
	return w, nil
}

// start fills the seat with a new process and opens it to tasks.
func (r runner) start(ctx context.Context) error {
	w, err := r.launch(ctx, r.spec, r.core)
	if err != nil {
		return err
	}
	r.take(w, "")
	return nil
}

// take puts w into the seat; its predecessor leaves for this reason. It returns false if
// w had died before.
func (r runner) take(w *Worker, why string) (lives bool) {
	f, stall := r.fleet(), w.spec.LockStall
	r.do(func(fx *effects.List) {
		if lives = r.seated(w, why, fx); !lives {
			return
		}
		if !w.watched {
			w.watched = true
			f.start(watcher{w}.watch, fx)
			f.start(func() { watcher{w}.keepAsking(stall) }, fx)
		}
		fx.Log(hclog.Info, "worker is ready", "worker", w.spec.ID, "pid", w.process.PID(),
			"cpus", w.process.CPUsAllowed(), "runtime", w.process.Runtime())
		if f.life.Err() != nil {
			fx.Process(w.process.Kill) // Stop may have looked before the seat was filled
		}
	})
	return lives
}

// supervise keeps the seat filled until its life ends.
func (r runner) supervise() {
	if r.worker == nil {
		r.refill(0)
	}
	for r.life.Err() == nil {
		select {
		case <-r.life.Done():
		case <-r.vacant:
			r.refill(r.wait)
		case o := <-r.orders:
			o.answer <- r.exchange(o)
		}
	}
	r.leave()
}

// refill fills the empty seat, after a wait, as often as it takes.
func (r runner) refill(wait time.Duration) {
	for r.life.Err() == nil {
		var asked *order
		select {
		case <-r.life.Done():
			return
		case <-time.After(wait):
		case o := <-r.orders: // whoever asks knows something new
			r.do(func(*effects.List) { r.become(o) })
			asked = &o
		}
		var err error
		if asked == nil && wait == 0 && r.takeSpare() {
			return
		}
		if asked != nil && asked.ready != nil {
			r.take(asked.ready, "")
		} else {
			err = r.start(r.life)
		}
		if asked != nil {
			asked.answer <- err
		}
		if err == nil {
			return
		}
		wait = r.failed(err)
	}
}

// failed notes that the seat could not be filled, and says how long to wait.
func (r runner) failed(err error) (wait time.Duration) {
	r.do(func(fx *effects.List) {
		wait = r.deaths.Died(err.Error(), nil)
		if y := &r.pool.tryout; y.of != nil && y.canary == r.Seat {
			y.of.isWorse(err, fx)
		} else if y.of != nil && y.control == r.Seat {
			y.of.isWorse(fmt.Errorf("there is nothing to compare with: %w", err), fx)
		}
		if r.life.Err() == nil {
			fx.Log(hclog.Error, "worker can't be restarted", "worker", r.spec.ID, "executor", r.spec.Executor, "command", r.spec.Command, "error", err, "next_try_in", wait)
		}
	})
	return wait
}

// exchange puts a successor into the seat, or leaves the worker where it is.
func (r runner) exchange(o order) error {
	replaced := false
	r.do(func(*effects.List) { replaced = o.of != nil && r.worker != nil && o.of != r.worker })
	if replaced {
		return nil // meanwhile
	}
	w, err := o.ready, error(nil)
	select {
	case r.pool.turn <- struct{}{}:
		defer func() { <-r.pool.turn }()
	case <-r.vacant: // the worker is gone: no need to wait for our turn
	case <-r.life.Done(): // which the launch will report
	}
	if w == nil {
		w, err = r.launch(r.life, o.spec, o.core)
	}
	if err != nil {
		r.fleet().Log.Error("worker stays: its successor can't be started", "worker", r.spec.ID, "reason", o.why, "error", err)
		return err
	}
	r.do(func(*effects.List) { r.become(o) })
	r.take(w, o.why)
	return nil
}

// order hands o to the seat and waits for its answer. Errors: api.ErrNoWorker when the
// seat was dismissed meanwhile; else why there is no successor.
func (r runner) order(ctx context.Context, o order, answer <-chan error) error {
	select {
	case r.orders <- o:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.life.Done():
		return r.gone()
	}
	select {
	case err := <-answer:
		if err != nil && r.life.Err() != nil {
			return r.gone()
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.life.Done():
		return r.gone()
	}
}

// leave drains the last worker of a dismissed seat, and answers an order that is left.
func (r runner) leave() {
	r.do(func(fx *effects.List) {
		if r.worker != nil && r.fleet().life.Err() == nil {
			r.worker.drain("its seat is no longer needed", fx)
		}
		r.departed()
	})
	select {
	case o := <-r.orders:
		if o.ready != nil {
			o.ready.process.Kill()
		}
		o.answer <- context.Cause(r.life)
	default:
	}
}

// stop ends the seat's processes, gently until ctx is done.
func (r runner) stop(ctx context.Context) {
	var workers []*Worker
	r.do(func(*effects.List) {
		workers = r.workers()
		for _, w := range workers {
			_, _ = w.state.Advance(lifecycle.Stopping) // an error: it does that already
		}
	})
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() { w.process.Stop(ctx) })
	}
	all.Wait()
}
