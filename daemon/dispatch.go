package daemon

import (
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
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
		lease, ok := free.balancer.Acquire(now, p.estimates.Estimate(entryOf(r.task)))
		if !ok { // without windows, where there is room there is a slot
			p.engine.queue.Return(now, r.item, waiting.index)
			break
		}
		p.give(r, free.slot(lease), lease, fx)
	}
	p.engine.clock.kickIf(p.engine.queue.Changed())
}

// give makes r the task of slot to, which l leases, and sends it.
func (p *pool) give(r *record, to *slot, l balancer.Lease, fx *effects.List) {
	p.engine.send(r, to, p.assignLocked(r, to, l), fx)
}

// assignLocked makes r the task of slot s, which l leases.
func (p *pool) assignLocked(r *record, s *slot, l balancer.Lease) *plugins.Task {
	s.seq++
	s.lease, s.current = l, r
	r.slot, r.seq = s, s.seq
	r.attempts++
	if r.state.Load() == task.Pending { // it was parked, and the clock has not been told
		_ = p.engine.moveLocked(r, task.Queued)
	}
	r.worker = &task.Worker{ID: s.worker.spec.ID, Executor: p.config.Executor, Pool: p.config.Name,
		PID: s.worker.process.PID(), Core: s.worker.core, Slot: s.index}
	t := &plugins.Task{Slot: s.index, Seq: s.seq, ID: r.task.ID.String(), ScriptPath: r.task.ScriptPath, Function: r.task.Function,
		Type: r.task.Type, Attempt: int(r.attempts), Labels: r.task.Labels, Traceparent: r.task.Traceparent, Source: r.task.Extras().Source, Params: r.task.Params}
	if timeout := time.Duration(r.task.Timeout); timeout > 0 {
		t.Deadline = time.Now().Add(timeout)
		r.guardAfter(timeout+p.engine.limits().CancelGrace, plugins.StopTimedOut)
	}
	return t
}
