package daemon

import (
	"context"
	"fmt"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
)

// A worker that has run many tasks, is old or has grown gets a successor, as one
// that somebody asks to be restarted. The successor starts first; then the worker
// drains. So nobody notices, but for the memory of two for a while, and in a pool
// no two are exchanged at a time.

const (
	// tendInterval is how often ages and sizes are looked at.
	tendInterval = time.Second
	// recyclePause is how long a worker whose successor can't be started is left.
	recyclePause = 30 * time.Second
)

// successorLocked is the order for a worker like the one that is there.
func (s *seat) successorLocked(why string) (order, <-chan error) {
	answer := make(chan error, 1)
	return order{spec: s.spec, core: s.core, of: s.worker, why: why, answer: answer}, answer
}

// order hands o to the seat and waits for its answer. Errors: api.ErrNoWorker when
// the pool has given the seat up meanwhile; why there is no successor.
func (s *seat) order(ctx context.Context, o order, answer <-chan error) error {
	select {
	case s.orders <- o:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.life.Done():
		return s.gone()
	}
	select {
	case err := <-answer:
		if err != nil && s.life.Err() != nil {
			return s.gone()
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.life.Done():
		return s.gone()
	}
}

// gone says why a seat that was dismissed has no worker.
func (s *seat) gone() error {
	if s.pool.engine.life.Err() != nil {
		return api.ErrDraining
	}
	return fmt.Errorf("%w: %s: its seat is no longer needed", api.ErrNoWorker, s.pool.config.Name)
}

// recycleLocked has the worker replaced, some time soon.
func (w *worker) recycleLocked(why string) {
	now := w.seat.pool.engine.elapsed()
	if w.state.Load() != lifecycle.Ready || w.seat.alone || now < w.recycleFrom {
		return
	}
	o, _ := w.seat.successorLocked(why)
	select {
	case w.seat.orders <- o:
		w.recycleFrom = now + recyclePause
	default: // the seat has another order; there will be another occasion
	}
}

// endedLocked counts a task that has ended in w.
func (w *worker) endedLocked() {
	w.tasks++
	if w.tasks == 1 {
		w.seat.deaths.Proved()
	}
	if most := w.seat.pool.config.MaxTasks; most > 0 && w.tasks >= most {
		w.recycleLocked(fmt.Sprintf("it has run %d tasks", w.tasks))
	}
}

// tend looks after the fleet until the engine's life ends.
func (e *Engine) tend() {
	ticker := time.NewTicker(tendInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			e.look()
		case <-e.life.Done():
			return
		}
	}
}

// look has those workers replaced that are too old or too large, and sees whether
// there are enough.
func (e *Engine) look() {
	var bounded []*worker // by how much memory they may have resident
	e.do(func(fx *effects.List) {
		e.retireLocked()
		now := e.elapsed()
		for _, p := range e.pools {
			p.scale(now, fx)
		}
		for _, p := range e.fleetLocked() {
			p.isolateMoreLocked()
			for _, s := range p.seats {
				if w := s.worker; w != nil && w.state.Load() == lifecycle.Ready {
					w.recycleIfOldLocked()
					if p.config.MaxRSSBytes > 0 {
						bounded = append(bounded, w)
					}
				}
			}
		}
	})
	for _, w := range bounded {
		w.recycleIfGrown()
	}
}

func (w *worker) recycleIfOldLocked() {
	if age, most := w.seat.pool.engine.elapsed()-w.born, w.seat.pool.config.MaxAge; most > 0 && age >= most {
		w.recycleLocked("it is " + age.Round(time.Second).String() + " old")
	}
}

// recycleIfGrown measures the worker without the lock.
func (w *worker) recycleIfGrown() {
	rss, err := w.process.ResidentBytes()
	if err != nil {
		return // it has ended
	}
	w.seat.pool.engine.do(func(*effects.List) {
		if most := w.seat.pool.config.MaxRSSBytes; most > 0 && rss >= most {
			w.recycleLocked(fmt.Sprintf("it has %d MiB of memory resident", rss>>20))
		}
	})
}
