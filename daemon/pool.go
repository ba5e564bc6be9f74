package daemon

import (
	"maps"
	"slices"

	"cpulb/balancer"
	"cpulb/daemon/task"
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

// Name implements ledger.Pool.
func (p *pool) Name() string { return p.config.Name }

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
	p.resizeLocked()
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

// waitingLocked is the number of tasks in the pool's lanes.
func (p *pool) waitingLocked() int {
	n := 0
	for _, l := range []*lane{&p.threads, &p.loops, &p.suspects} {
		n += p.engine.queue.LaneLen(l.index)
	}
	return n
}

// allLocked returns every seat that may have a process.
func (p *pool) allLocked() []*seat {
	return slices.Concat(p.seats, p.spares, p.isolation, slices.Collect(maps.Keys(p.departing)))
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

// busyLocked is the number of slots that have a task, those of leaving workers
// included.
func (p *pool) busyLocked() int {
	n := 0
	for _, s := range p.allLocked() {
		n += s.busyLocked()
	}
	return n
}

// ready is the number of slots that take tasks.
func (p *pool) ready() int { return p.threads.balancer.Slots() + p.loops.balancer.Slots() }
