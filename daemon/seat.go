package daemon

import (
	"context"
	"fmt"
	"time"

	"cpulb/balancer"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// Restarting a worker waits minBackoff, doubling to maxBackoff while workers die
// young; one that lived longer than maxBackoff starts the count anew.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// seat is a place for one worker process, filled again when it dies. Engine.mu
// guards threads, loops, process, slots, restarts and blameless; slots and process change
// only while the seat is not in the balancer.
type seat struct {
	pool *pool
	spec supervisor.Spec
	core int // that it is pinned to; -1: none
	// threads and loops are its entries in the pool's lanes, nil while it has no
	// worker.
	threads, loops *balancer.Worker
	process        *supervisor.Process
	slots          []*slot
	restarts       int
	// blameless: we end the process ourselves; its tasks are not suspects.
	blameless bool
}

// start fills the seat with a new process and opens it to the balancer.
func (s *seat) start(ctx context.Context) error {
	e := s.pool.engine
	slots := s.makeSlots()
	process, err := e.launcher.Start(ctx, s.spec, func(i int) plugins.Handler { return slots[i] })
	if err != nil {
		return fmt.Errorf("worker %s: %w", s.spec.ID, err)
	}
	e.mu.Lock()
	for i := range slots {
		slots[i].process, slots[i].conn = process, process.Slot(i)
	}
	s.process, s.slots, s.blameless = process, slots, false
	s.threads, s.loops = s.pool.threads.open(s), s.pool.loops.open(s)
	send := s.pool.dispatch()
	e.mu.Unlock()
	send.now()
	e.log.Info("worker is ready", "worker", s.spec.ID, "pid", process.PID(), "cpus", process.CPUsAllowed(), "runtime", process.Runtime())
	return nil
}

// makeSlots makes the daemon's ends of a new worker's slots.
func (s *seat) makeSlots() []*slot {
	slots := make([]*slot, s.spec.Slots+s.spec.LoopSlots)
	for i := range slots {
		slots[i] = &slot{seat: s, lane: &s.pool.threads, index: i, lost: make(chan struct{})}
		if i >= s.spec.Slots {
			slots[i].lane = &s.pool.loops
		}
	}
	return slots
}

// supervise keeps the seat filled until the engine's life ends.
func (s *seat) supervise() {
	life := s.pool.engine.life
	backoff := minBackoff
	for {
		born := time.Now()
		s.waitForEnd()
		if time.Since(born) > maxBackoff {
			backoff = minBackoff
		}
		for filled := false; !filled; backoff = min(2*backoff, maxBackoff) {
			select {
			case <-life.Done():
				return
			case <-time.After(backoff):
			}
			filled = s.restart(life, backoff)
		}
	}
}

// waitForEnd returns after the process has been reaped and its tasks have been
// seen to.
func (s *seat) waitForEnd() {
	<-s.process.Done()
	for _, sl := range s.slots {
		<-sl.lost // what it had written before its death has been read now
	}
	e, exit := s.pool.engine, s.process.Exit()
	e.mu.Lock()
	s.pool.threads.close(s.threads)
	s.pool.loops.close(s.loops)
	s.threads, s.loops = nil, nil
	var n notices
	for _, sl := range s.slots {
		n = append(n, sl.abandon(exit)...)
	}
	send := s.pool.dispatch() // what was requeued may run on another worker
	e.checkIdle()
	e.mu.Unlock()
	send.now()
	n.send()
	if e.life.Err() == nil {
		e.log.Error("worker died", "worker", s.spec.ID, "exit", exit, "stderr", s.process.LastStderr())
	}
}

// restart fills the seat again; false when that failed.
func (s *seat) restart(life context.Context, backoff time.Duration) bool {
	e := s.pool.engine
	e.mu.Lock()
	s.restarts++
	e.mu.Unlock()
	if err := s.start(life); err != nil {
		e.log.Error("worker can't be restarted", "worker", s.spec.ID, "error", err, "waited", backoff)
		return false
	}
	if life.Err() != nil {
		s.process.Kill() // stop may have looked before the seat was filled
	}
	return true
}

// stop ends the seat's process in order, as far as ctx leaves time.
func (s *seat) stop(ctx context.Context) {
	s.pool.engine.mu.Lock()
	process := s.process
	s.pool.engine.mu.Unlock()
	if process != nil {
		process.Stop(ctx)
	}
}

// state names the seat's condition for status. Engine.mu is held.
func (s *seat) state() string {
	switch {
	case s.pool.engine.life.Err() != nil:
		return "stopping"
	case s.threads != nil:
		return "ready"
	case s.process == nil:
		return "starting"
	default:
		return "dead"
	}
}

// busy counts the slots that have a task. Engine.mu is held.
func (s *seat) busy() int {
	n := 0
	for _, sl := range s.slots {
		if sl.current != nil {
			n++
		}
	}
	return n
}
