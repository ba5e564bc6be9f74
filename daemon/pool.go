package daemon

import (
	"maps"
	"slices"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// pool is a group of like workers. Engine.mu guards all but engine.
type pool struct {
	engine *Engine
	plan
	seats  []*seat
	turn   chan struct{} // to exchange a worker, one at a time
	demand demand
	spares []*seat
	// departing are dismissed seats that still have a process.
	departing map[*seat]struct{}
	// threads are the slots that any task can have; loops, of which there may be
	// none, are those on the workers' event loops.
	threads, loops lane
	// suspects wait for a worker that they have to themselves, see suspects.go.
	suspects  lane
	isolation []*seat   // for suspects
	alone     []*worker // of those: the ones that may take one
	waited    bool      // some waited when it was last looked at
	isolated  int       // how many seats there have been for suspects
	poisoned  int       // tasks of which workers died
	deaths    int       // workers that died
	// needThread are the entry points that a loop has refused.
	needThread map[entryPoint]struct{}
	// estimates is how long tasks take, by what they call.
	estimates *balancer.Estimator[entryPoint]
}

// lane is a kind of slots with the queue of the tasks that wait for them.
type lane struct {
	index    int  // in the queue
	loop     bool // they come after the other slots of a worker
	balancer balancer.Balancer
	entries  map[*balancer.Worker]*worker
}

// slot returns the slot that l leases.
func (n *lane) slot(l balancer.Lease) *slot {
	w := n.entries[l.Worker]
	if n.loop {
		return w.slots[w.spec.Slots+l.Slot]
	}
	return w.slots[l.Slot]
}

// open adds a worker's slots to the choice.
func (n *lane) open(w *worker) *balancer.Worker {
	count := w.spec.Slots
	if n.loop {
		count = w.spec.LoopSlots
	}
	if count == 0 {
		return nil
	}
	entry := n.balancer.Add(count)
	n.entries[entry] = w
	return entry
}

// close takes them out again.
func (n *lane) close(w *balancer.Worker) {
	if w != nil {
		n.balancer.Remove(w)
		delete(n.entries, w)
	}
}

// entryPoint is what a task calls.
type entryPoint struct{ script, function string }

func entryOf(t *task.Task) entryPoint { return entryPoint{t.ScriptPath, t.Function} }

// maxEstimates is how many entry points a pool knows the time of.
const maxEstimates = 10_000

// maxNeedThread bounds needThread, which is emptied when it is reached.
const maxNeedThread = 10_000

// lanesPerPool is how many lanes of the queue a pool has.
const lanesPerPool = 3

func newPool(e *Engine, made plan) *pool {
	p := &pool{engine: e, plan: made, turn: make(chan struct{}, 1), departing: map[*seat]struct{}{}, needThread: map[entryPoint]struct{}{},
		estimates: balancer.NewEstimator[entryPoint](maxEstimates),
		threads:   lane{entries: map[*balancer.Worker]*worker{}}, loops: lane{loop: true, entries: map[*balancer.Worker]*worker{}}}
	p.resize()
	return p
}

// useLanes gives the pool its lanes of the queue, from the one with number first on.
func (p *pool) useLanes(first int) {
	p.threads.index, p.loops.index, p.suspects.index = first, first+1, first+2
}

// newSeat makes the seat with number i.
func (p *pool) newSeat(i int) *seat {
	spec, core := p.post(i)
	return newSeat(p, spec, core)
}

// waiting is the number of tasks in the pool's lanes. Engine.mu is held.
func (p *pool) waiting() int {
	n := 0
	for _, l := range []*lane{&p.threads, &p.loops, &p.suspects} {
		n += p.engine.queue.LaneLen(l.index)
	}
	return n
}

// all returns every seat that may have a process. Engine.mu is held.
func (p *pool) all() []*seat {
	return slices.Concat(p.seats, p.spares, p.isolation, slices.Collect(maps.Keys(p.departing)))
}

// delivery is a task on its way to a slot.
type delivery struct {
	slot *slot
	task *plugins.Task
	// first, if not nil, is to be done before; it calls back.
	first func(send func())
}

// deliveries are sent after Engine.mu has been released. A worker with a slot
// that can't be written to is of no use: it is ended, and its seat sees to the
// tasks once everything that the worker had written has been read.
type deliveries []delivery

func (d deliveries) now() {
	for _, x := range d {
		if x.first != nil {
			x.first(x.send)
			continue
		}
		x.send()
	}
}

func (x *delivery) send() {
	if err := x.slot.conn.Send(x.task); err != nil {
		go x.slot.worker.process.Kill()
	}
}

// dispatch gives waiting tasks to free slots, unless the engine drains.
// Engine.mu is held.
func (p *pool) dispatch() deliveries {
	if p.engine.draining {
		return nil
	}
	send := p.fillAlone(nil)
	send = p.fill(send, &p.loops, &p.loops)
	send = p.fill(send, &p.threads, &p.threads)
	return p.fill(send, &p.loops, &p.threads) // what the loops have no room for
}

// fill gives tasks that wait in one lane to the free slots of another.
func (p *pool) fill(send deliveries, waiting, free *lane) deliveries {
	for now := p.engine.now(); free.balancer.Room() && p.engine.queue.Runnable(now, waiting.index); {
		r := p.engine.queue.Pop(now, waiting.index).Value
		lease, ok := free.balancer.Acquire(now, p.estimates.Estimate(entryOf(r.task)))
		if !ok { // without windows, where there is room there is a slot
			p.engine.queue.Return(now, r.item, waiting.index)
			break
		}
		send = append(send, p.give(r, free.slot(lease), lease))
	}
	p.engine.clock.kickIf(p.engine.queue.Changed())
	return send
}

// give makes r the task of slot to, which l leases. Engine.mu is held.
func (p *pool) give(r *record, to *slot, l balancer.Lease) delivery {
	return delivery{slot: to, task: p.assign(r, to, l), first: p.engine.beforeSending(r)}
}

// laneFor returns where t waits: for a loop, if there are any, until one has
// refused it.
func (p *pool) laneFor(t *task.Task) *lane {
	if p.spec.LoopSlots == 0 || t.ScriptPath == "" { // a text has no name to remember by what loops refuse
		return &p.threads
	}
	if _, refused := p.needThread[entryPoint{t.ScriptPath, t.Function}]; refused {
		return &p.threads
	}
	return &p.loops
}

// refused notes that a loop can't run t.
func (p *pool) refused(t *task.Task) {
	if len(p.needThread) >= maxNeedThread {
		clear(p.needThread)
	}
	p.needThread[entryPoint{t.ScriptPath, t.Function}] = struct{}{}
}

// busy is the number of slots that have a task, those of leaving workers
// included. Engine.mu is held.
func (p *pool) busy() int {
	n := 0
	for _, s := range p.all() {
		n += s.busy()
	}
	return n
}

// ready is the number of slots that take tasks.
func (p *pool) ready() int { return p.threads.balancer.Slots() + p.loops.balancer.Slots() }

// assign makes r the task of slot s, which l leases. Engine.mu is held.
func (p *pool) assign(r *record, s *slot, l balancer.Lease) *plugins.Task {
	s.seq++
	s.lease, s.current = l, r
	r.slot, r.seq = s, s.seq
	r.attempts++
	if r.state.Load() == task.Pending { // it was parked, and the clock has not been told
		_ = p.engine.move(r, task.Queued)
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
