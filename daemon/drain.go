package daemon

import (
	"context"
	"fmt"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

// lastCommit bounds how long the end of the engine waits for the disk.
const lastCommit = 10 * time.Second

// Drain stops acceptance and dispatch: running tasks end, what is queued waits,
// for Resume or, in the journal, for the next start. Errors: access.Denied.
func (e *Engine) Drain(who access.Identity) error {
	if err := e.administer(who); err != nil {
		return err
	}
	e.mu.Lock()
	if !e.draining {
		e.log.Info("draining: nothing is accepted or started until it is resumed", "uid", who.UID)
	}
	e.drain()
	a := e.refuseBlocked()
	e.mu.Unlock()
	a.give()
	return nil
}

// refuseBlocked sends away those that wait for room. Engine.mu is held.
func (e *Engine) refuseBlocked() answers {
	var tell answers
	for r, a := range e.arriving {
		if r.item.Place() == queue.Blocked {
			e.turnAway(r)
			tell = append(tell, a.tell(task.View{}, api.ErrDraining)...)
		}
	}
	return tell
}

// Resume ends a Drain. Errors: access.Denied, api.ErrDraining once the engine is
// being stopped.
func (e *Engine) Resume(who access.Identity) error {
	if err := e.administer(who); err != nil {
		return err
	}
	e.mu.Lock()
	if e.stopping {
		e.mu.Unlock()
		return fmt.Errorf("%w for good", api.ErrDraining)
	}
	if e.draining {
		e.log.Info("resumed", "uid", who.UID)
	}
	e.draining = false
	e.mu.Unlock()
	e.clock.kick() // which dispatches
	return nil
}

func (e *Engine) administer(who access.Identity) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rules.Check(who, access.Request{Action: access.Administer})
}

// Administers reports whether who may do everything.
func (e *Engine) Administers(who access.Identity) bool { return e.administer(who) == nil }

// drain begins, or goes on. Engine.mu is held.
func (e *Engine) drain() {
	if !e.draining {
		e.draining, e.idle = true, make(chan struct{})
	}
	e.checkIdle()
}

// Stop ends the engine: nothing new is accepted or started, running tasks may end
// until ctx is done, then all workers are stopped. What is in the journal goes on
// at the next start; what is not fails with code "daemon_stopped", so that whoever
// waits is told.
func (e *Engine) Stop(ctx context.Context) {
	e.mu.Lock()
	e.stopping = true
	e.drain()
	idle := e.idle
	a := e.refuseBlocked()
	e.mu.Unlock()
	a.give()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	e.mu.Lock()
	e.running = false
	n := e.failVolatile()
	e.mu.Unlock()
	n.send()
	e.end()
	e.stopWorkers(ctx)
	e.supervisors.Wait()
	e.launcher.Close()
	last, cancel := context.WithTimeout(context.Background(), lastCommit)
	defer cancel()
	e.closeJournal(last)
	close(e.stopped)
}

// failVolatile ends every task that would not outlive the daemon. e.mu is held.
func (e *Engine) failVolatile() notices {
	var all []*record
	for _, r := range e.store.tasks {
		if !r.over && (r.volatile || e.journal == nil) {
			all = append(all, r)
		}
	}
	var n notices
	for _, r := range all {
		n = append(n, e.finish(r, stopped())...)
	}
	return n
}

// checkIdle closes idle when the engine drains and no slot is busy. e.mu is held.
func (e *Engine) checkIdle() {
	if !e.draining {
		return
	}
	for _, p := range e.fleet() {
		if p.busy() > 0 {
			return
		}
	}
	select {
	case <-e.idle:
	default:
		close(e.idle)
	}
}
