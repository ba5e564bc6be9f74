package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/internal/procfs"
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

// RestartWorker puts a successor into a worker's seat and returns when that is
// ready; the worker finishes what it has. Errors: access.Denied, api.ErrNoWorker;
// any other says why there is no successor, and the worker goes on.
func (e *Engine) RestartWorker(ctx context.Context, who access.Identity, worker string) error {
	if err := e.administer(who); err != nil {
		return err
	}
	e.mu.Lock()
	var found *seat
	for _, p := range e.pools {
		for _, s := range slices.Concat(p.seats, p.spares) {
			if s.spec.ID == worker {
				found = s
			}
		}
	}
	if found == nil {
		e.mu.Unlock()
		return fmt.Errorf("%w: %.64q", api.ErrNoWorker, worker)
	}
	o, answer := found.successor("a restart was asked for")
	e.mu.Unlock()
	return found.order(ctx, o, answer)
}

// successor is the order for a worker like the one that is there. Engine.mu is
// held.
func (s *seat) successor(why string) (order, <-chan error) {
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

// recycle has the worker replaced, some time soon. Engine.mu is held.
func (w *worker) recycle(why string) {
	now := time.Now()
	if w.state.Load() != lifecycle.Ready || w.seat.alone || now.Before(w.recycleFrom) {
		return
	}
	o, _ := w.seat.successor(why)
	select {
	case w.seat.orders <- o:
		w.recycleFrom = now.Add(recyclePause)
	default: // the seat has another order; there will be another occasion
	}
}

// ended counts a task that has ended in w. Engine.mu is held.
func (w *worker) ended() {
	w.tasks++
	if w.tasks == 1 {
		w.seat.deaths.Proved()
	}
	if most := w.seat.pool.config.MaxTasks; most > 0 && w.tasks >= most {
		w.recycle(fmt.Sprintf("it has run %d tasks", w.tasks))
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
	e.mu.Lock()
	defer e.mu.Unlock()
	e.retire()
	now := time.Now()
	for _, p := range e.pools {
		p.scale(now)
	}
	for _, p := range e.fleet() {
		p.isolateMore()
		for _, s := range p.seats {
			if w := s.worker; w != nil && w.state.Load() == lifecycle.Ready {
				w.recycleIfGrown()
			}
		}
	}
}

// recycleIfGrown reads a file of the kernel's, which does not block. Engine.mu is
// held.
func (w *worker) recycleIfGrown() {
	c := &w.seat.pool.config
	if age := time.Since(w.born); c.MaxAge > 0 && age >= c.MaxAge {
		w.recycle("it is " + age.Round(time.Second).String() + " old")
	}
	if c.MaxRSSBytes == 0 {
		return
	}
	if rss, err := procfs.ResidentBytes(w.process.PID()); err == nil && rss >= c.MaxRSSBytes {
		w.recycle(fmt.Sprintf("it has %d MiB of memory resident", rss>>20))
	}
}
