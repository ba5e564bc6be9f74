package daemon

import (
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// dispatch gives waiting tasks to free slots, unless the engine drains. There is no
// goroutine for it: whoever makes a dispatch possible makes it.
func (p *pool) dispatch(fx *effects.List) {
	if p.engine.draining {
		return
	}
	p.fillAlone(fx)
	p.fill(&p.loops, &p.loops, fx)
	p.fill(&p.threads, &p.threads, fx)
	p.fill(&p.loops, &p.threads, fx) // what the loops have no room for
}

// fill gives tasks that wait in one lane to the free slots of another.
func (p *pool) fill(waiting, free *lane, fx *effects.List) {
	for now := p.engine.now(); free.balancer.Room() && p.engine.queue.Runnable(now, waiting.index); {
		r := p.engine.queue.Pop(now, waiting.index).Value
		lease, ok := free.balancer.Acquire(now, p.estimates.Estimate(entryOf(r.Task)))
		if !ok { // without windows, where there is room there is a slot
			p.engine.queue.Return(now, r.Item, waiting.index)
			break
		}
		p.give(r, free.slot(lease), lease, fx)
	}
	p.engine.clock.kickIf(p.engine.queue.Changed())
}

// give makes r the task of slot to, which l leases, and sends it.
func (p *pool) give(r *ledger.Record, to *slot, l balancer.Lease, fx *effects.List) {
	p.engine.send(r, to, p.assign(r, to, l, fx), fx)
}

// assign makes r the task of slot s, which l leases.
func (p *pool) assign(r *ledger.Record, s *slot, l balancer.Lease, fx *effects.List) *plugins.Task {
	s.seq++
	s.lease, s.current = l, r
	p.engine.slots[r] = s
	r.Attempts++
	p.engine.move(r, ledger.Sent, fx)
	r.Worker = &task.Worker{ID: s.worker.spec.ID, Executor: p.config.Executor, Pool: p.config.Name,
		PID: s.worker.process.PID(), Core: s.worker.core, Slot: s.index}
	t := &plugins.Task{Slot: s.index, Seq: s.seq, ID: r.Task.ID.String(), ScriptPath: r.Task.ScriptPath, Function: r.Task.Function,
		Type: r.Task.Type, Attempt: int(r.Attempts), Labels: r.Task.Labels, Traceparent: r.Task.Traceparent, Source: r.Task.Extras().Source, Params: r.Task.Params}
	if timeout := time.Duration(r.Task.Timeout); timeout > 0 {
		t.Deadline = p.engine.now().Add(timeout)
		s.guardAfterLocked(timeout+p.engine.limits().CancelGrace, plugins.StopTimedOut)
	}
	return t
}
