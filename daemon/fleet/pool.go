package fleet

import (
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// Pool is a group of like workers.
type Pool struct {
	name  string
	fleet *Fleet
	Layout
	seats  []*Seat
	spares []*Seat
	// turn is to exchange a worker, one at a time.
	turn chan struct{}
	// departing are dismissed seats that still have a process.
	departing map[*Seat]struct{}
	// threads are the slots that any task can have; loops, of which there may be
	// none, are those on the workers' event loops.
	threads, loops Lane
	// threadsHeld and loopsHeld are the slots of both classes that callers hold.
	threadsHeld, loopsHeld holders
	relief                 relief
	demand                 demand
	tryout                 tryout
	isolation              isolation
	rolling                *rolling        // nil: no exchange is watched
	deaths                 int             // workers that died
	unfit                  int             // workers that could not run tasks any more
	unfitAt                []time.Duration // the last of them, by Fleet.Elapsed
	breaches               breaches
	// needThread are the entry points that a loop has refused.
	needThread map[entryPoint]struct{}
	// estimates is how long tasks take, by what they call.
	estimates *balancer.Estimator[entryPoint]
	seed      maphash.Seed // of entry points
	looked    looked
	stalls    stalls
	// described is what the executor of its latest ready worker can do.
	described plugins.Description
}

// entryPoint stands for what a task calls: paths are the callers', and long. Two that come
// out as the same one are taken for as long as each other.
type entryPoint uint64

// looked is the entry point that was asked for last: mostly it is asked for again.
type looked struct {
	script, function string
	entry            entryPoint
}

func (p *Pool) entryOf(t *task.Task) entryPoint {
	if l := &p.looked; l.entry == 0 || l.script != t.ScriptPath || l.function != t.Function {
		*l = looked{t.ScriptPath, t.Function, entryPoint(maphash.Comparable(p.seed, struct{ script, function string }{t.ScriptPath, t.Function}))}
	}
	return p.looked.entry
}

const (
	// maxEstimates is how many entry points a pool knows the time of.
	maxEstimates = 10_000
	// maxNeedThread bounds needThread, which is emptied when it is reached.
	maxNeedThread = 10_000
	// LanesPerPool is how many lanes of the owner's queue a pool has.
	LanesPerPool = 3
)

func newPool(f *Fleet, l Layout) *Pool {
	p := &Pool{fleet: f, name: l.config.Name, Layout: l, turn: make(chan struct{}, 1), departing: map[*Seat]struct{}{}, needThread: map[entryPoint]struct{}{},
		estimates: balancer.NewEstimator[entryPoint](maxEstimates), seed: maphash.MakeSeed()}
	p.threads, p.loops = newLane(&p.threadsHeld, false), newLane(&p.loopsHeld, true)
	p.relief.threads, p.relief.loops = newLane(&p.threadsHeld, false), newLane(&p.loopsHeld, true)
	p.tryout.init(&p.threadsHeld, &p.loopsHeld)
	p.resize()
	return p
}

// useLanes gives the pool its lanes of the owner's queue, from the one with number
// first on.
func (p *Pool) useLanes(first int) {
	p.threads.index, p.loops.index, p.isolation.lane = first, first+1, first+2
	p.relief.threads.index, p.relief.loops.index = first, first+1
	for _, n := range p.tryout.all() {
		n.index = first
		if n.loop {
			n.index++
		}
	}
}

// Name returns the pool's name in the configuration, which never changes: it may be asked
// for without the lock.
func (p *Pool) Name() string { return p.name }

// Config returns what the configuration says of the pool.
func (p *Pool) Config() *config.Pool { return &p.config }

// Program returns the path of the workers' program, and the FileID that it had when the pool
// was laid out.
func (p *Pool) Program() (path string, id FileID) { return p.spec.Command, p.program }

// Workers returns how many seats the pool has, those for spares and suspects aside.
func (p *Pool) Workers() int { return len(p.seats) }

// Deaths and Poisoned count the workers that died, and the tasks of which they did.
func (p *Pool) Deaths() int { return p.deaths }

// Poisoned is explained at Deaths.
func (p *Pool) Poisoned() int { return p.isolation.poisoned }

// Waiting returns the number of tasks in the pool's lanes.
func (p *Pool) Waiting() int {
	n := 0
	for _, lane := range []int{p.threads.index, p.loops.index, p.isolation.lane} {
		n += p.fleet.Owner.Waiting(lane)
	}
	return n
}

// Busy returns the number of slots that have a task, those of leaving workers included.
func (p *Pool) Busy() int {
	n := 0
	for _, s := range p.all() {
		n += s.busy()
	}
	return n
}

// Ready returns the number of slots that take tasks.
func (p *Pool) Ready() int { return p.threads.balancer.Slots() + p.loops.balancer.Slots() }

// Serves reports whether any of its workers takes tasks, be it those for relief alone: one
// caller whose tasks cost all others does not make the pool unfit for everybody.
func (p *Pool) Serves() bool {
	return p.Ready()+p.relief.threads.balancer.Slots()+p.relief.loops.balancer.Slots() > 0
}

// Restarts yields the seats' ids with how often their worker was replaced.
func (p *Pool) Restarts(yield func(worker string, restarts int) bool) {
	for _, s := range p.seats {
		if !yield(s.spec.ID, s.restarts()) {
			return
		}
	}
}

// all returns every seat that may have a process.
func (p *Pool) all() []*Seat {
	return slices.Concat(p.seats, p.spares, p.relief.seats, p.isolation.seats, p.tryout.seats(), slices.Collect(maps.Keys(p.departing)))
}

// resize gives the pool as many seats as it should have. Those that are new have no
// worker yet.
func (p *Pool) resize() {
	for _, n := range append(p.tryout.all(), &p.threads, &p.loops, &p.relief.threads, &p.relief.loops) {
		n.balancer.SetPolicy(p.config.Policy)
	}
	p.threads.balancer.SetWindow(p.config.Window)
	for len(p.seats) < p.count {
		spec, core := p.post(len(p.seats))
		p.seats = append(p.seats, newSeat(p, regular, spec, core))
	}
	for len(p.seats) > p.count {
		last := p.seats[len(p.seats)-1]
		p.seats = p.seats[:len(p.seats)-1]
		p.dismiss(last)
	}
}

// discard gives up a pool whose seats have never had a worker.
func (p *Pool) discard() {
	for _, s := range p.seats {
		s.dismiss()
	}
}

// furnish makes a seat that its runner fills from now on.
func (p *Pool) furnish(k kind, spec supervisor.Spec, core int, fx *effects.List) *Seat {
	s := newSeat(p, k, spec, core)
	p.fleet.start(runner{s}.supervise, fx)
	return s
}

// dismiss lets a seat go that is the pool's no longer.
func (p *Pool) dismiss(s *Seat) {
	p.departing[s] = struct{}{}
	s.dismiss()
}

// LaneOf returns the lane of the owner's queue where a task waits: for a loop, if there
// are any, until one has refused it; a suspect for a worker that it has to itself.
func (p *Pool) LaneOf(t *task.Task, suspect bool) int {
	switch {
	case suspect && p.slots() > 1:
		return p.isolation.lane
	case p.spec.LoopSlots == 0, t.ScriptPath == "", p.hasRefused(t): // a text has no name to remember by what loops refuse
		return p.threads.index
	default:
		return p.loops.index
	}
}

// hasRefused reports whether a loop can't run t.
func (p *Pool) hasRefused(t *task.Task) bool {
	_, refused := p.needThread[p.entryOf(t)]
	return refused
}

// refused notes that a loop can't run t.
func (p *Pool) refused(t *task.Task) {
	if len(p.needThread) >= maxNeedThread {
		clear(p.needThread)
	}
	p.needThread[p.entryOf(t)] = struct{}{}
}

// Expected is how long a task is expected to take; 0: nothing is known of it.
func (p *Pool) Expected(t *task.Task) time.Duration { return p.estimates.Estimate(p.entryOf(t)) }

// mostInWindow is how large a task is at most that waits in a window: to move a larger one
// costs more than to wait for it.
const mostInWindow = 16 << 10

// span is what the balancer takes a task for. One that must not run twice is by itself in
// its slot: its Result leaves the worker at once, and no other's death can be its own. So is
// a suspect: only a death while it is alone proves something.
func (p *Pool) span(h Hold) time.Duration {
	t := h.Info()
	if h.Suspected() || len(t.Params) > mostInWindow || t.Extra != nil && (t.Extra.OnWorkerLost == task.Fail || len(t.Extra.Source) > mostInWindow) {
		return 0
	}
	return p.Expected(t)
}

// Observe notes how long a task took in user code.
func (p *Pool) observe(t *task.Task, took time.Duration) {
	if took > 0 {
		p.estimates.Observe(p.entryOf(t), took)
	}
}

// Threads and Loops are the pool's two classes of slots, those of relief aside.
func (p *Pool) Threads() *Lane { return &p.threads }

// Loops is explained at Threads.
func (p *Pool) Loops() *Lane { return &p.loops }
