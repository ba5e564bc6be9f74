package daemon

import (
	"fmt"
	"sync/atomic"

	"cpulb/daemon/api"
	"cpulb/daemon/fleet"
)

// signs are what can be seen of the engine without its lock, so that nobody who asks how
// it is waits behind those whom it is busy with. They are set at the end of each turn under
// the lock.
type signs struct {
	ready atomic.Pointer[readiness]
	// turns counts those that have ended.
	turns atomic.Uint64
	// seen is what turns was when Alive looked last; trying: a turn of its own goes on.
	seen   atomic.Uint64
	trying atomic.Bool
}

// readiness is whether tasks can run: the engine accepts any, and no pool, lacking, is
// without a ready worker.
type readiness struct {
	accepts bool
	lacking *fleet.Pool
}

// show sets the signs at the end of a turn.
func (s *signs) show(now readiness) {
	s.turns.Add(1)
	if was := s.ready.Load(); was == nil || *was != now {
		changed := now // so that now is not on the heap
		s.ready.Store(&changed)
	}
}

func (e *Engine) readinessLocked() readiness {
	now := readiness{accepts: e.running && !e.draining}
	for _, p := range e.fleet.PoolsLocked() {
		if !p.Serves() {
			now.lacking = p
			break
		}
	}
	return now
}

// Ready returns why tasks can't run now: the daemon is stopping, or a pool has no
// worker. Nil means that every pool has one. It does not wait for the engine.
func (e *Engine) Ready() error {
	switch now := e.signs.ready.Load(); {
	case now == nil || !now.accepts:
		return api.ErrDraining
	case now.lacking != nil:
		return fmt.Errorf("pool %q has no ready worker", now.lacking.Name())
	}
	return nil
}

// Alive reports whether the engine has gone on since the last call. However many wait for
// its lock, it does; one that is stuck does not. It returns at once: a turn of its own,
// for an engine that has nothing to do, is to have ended by the next call.
func (e *Engine) Alive() bool {
	turns := e.signs.turns.Load()
	if e.signs.trying.CompareAndSwap(false, true) {
		go func() {
			defer e.signs.trying.Store(false)
			e.locked(func() {})
		}()
	}
	return e.signs.seen.Swap(turns) != turns
}
