package daemon

import (
	"fmt"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// pool is a group of like workers with a lane of the queue. Engine.mu guards its
// balancer and entries.
type pool struct {
	engine   *Engine
	lane     int
	config   PoolConfig
	seats    []*seat
	balancer balancer.Balancer
	entries  map[*balancer.Worker]*seat
}

func newPool(e *Engine, lane int, c PoolConfig) (*pool, error) {
	cores, err := coresOf(c)
	if err != nil {
		return nil, err
	}
	spec, err := e.spec(c)
	if err != nil {
		return nil, err
	}
	p := &pool{engine: e, lane: lane, config: c, entries: map[*balancer.Worker]*seat{}}
	workers := c.Workers
	if workers == 0 {
		workers = len(cores)
	}
	for i := range workers {
		s := &seat{pool: p, spec: spec, core: -1}
		s.spec.ID = fmt.Sprintf("%s-%d", c.Name, i)
		s.spec.CPUs = cores
		if c.Pin {
			s.core = cores[i%len(cores)]
			s.spec.CPUs = []int{s.core}
		}
		p.seats = append(p.seats, s)
	}
	return p, nil
}

// coresOf returns the CPUs of a pool: what it names, all of which the daemon
// must be allowed to use, or all of the daemon's.
func coresOf(c PoolConfig) ([]int, error) {
	allowed, err := balancer.AllowedCPUs()
	if err != nil || c.Cores == "" {
		return allowed, err
	}
	cores, err := balancer.ParseCPUs(c.Cores)
	if err != nil {
		return nil, fmt.Errorf("cores: %w", err)
	}
	ours := map[int]bool{}
	for _, cpu := range allowed {
		ours[cpu] = true
	}
	for _, cpu := range cores {
		if !ours[cpu] {
			return nil, fmt.Errorf("cores: the daemon may not use CPU %d (allowed: %v)", cpu, allowed)
		}
	}
	return cores, nil
}

// spec is what all workers of a pool have in common.
func (e *Engine) spec(c PoolConfig) (supervisor.Spec, error) {
	limits := e.options.Config.Limits
	for _, x := range e.options.Config.Executors {
		if x.Name != c.Executor {
			continue
		}
		command, err := supervisor.Find(x.Command, e.options.BinDir)
		if err != nil {
			return supervisor.Spec{}, fmt.Errorf("executor %q: %w", x.Name, err)
		}
		return supervisor.Spec{Pool: c.Name, Executor: x.Name, Command: command, SHA256: x.SHA256, Slots: c.Threads,
			Env: x.Env, ResultBytes: limits.ResultBytes, OutputBytes: limits.OutputBytes,
			StartTimeout: limits.StartTimeout}, nil
	}
	return supervisor.Spec{}, fmt.Errorf("executor %q is not configured", c.Executor)
}

// delivery is a task on its way to a slot.
type delivery struct {
	slot *slot
	task *plugins.Task
}

// deliveries are sent after Engine.mu has been released. A worker with a slot
// that can't be written to is of no use: it is ended, and its seat sees to the
// tasks once everything that the worker had written has been read.
type deliveries []delivery

func (d deliveries) now() {
	for _, x := range d {
		if err := x.slot.conn.Send(x.task); err != nil {
			go x.slot.process.Kill()
		}
	}
}

// dispatch gives waiting tasks to free slots, unless the engine drains.
// Engine.mu is held.
func (p *pool) dispatch() deliveries {
	var send deliveries
	for !p.engine.draining && p.engine.queue.LaneLen(p.lane) > 0 {
		lease, ok := p.balancer.Acquire()
		if !ok {
			break
		}
		r, _ := p.engine.queue.Pop(p.lane)
		send = append(send, delivery{p.slotOf(lease), p.assign(r, lease)})
	}
	return send
}

func (p *pool) slotOf(l balancer.Lease) *slot { return p.entries[l.Worker].slots[l.Slot] }

// assign makes r the task of the leased slot. Engine.mu is held.
func (p *pool) assign(r *record, l balancer.Lease) *plugins.Task {
	s := p.slotOf(l)
	s.seq++
	s.lease, s.current = l, r
	r.item, r.slot, r.seq = nil, s, s.seq
	r.attempts++
	r.worker = &task.Worker{ID: s.seat.spec.ID, Executor: p.config.Executor, Pool: p.config.Name,
		PID: s.seat.process.PID(), Core: s.seat.core, Slot: l.Slot}
	t := &plugins.Task{Seq: s.seq, ID: r.task.ID.String(), ScriptPath: r.task.ScriptPath, Function: r.task.Function,
		Type: r.task.Type, Attempt: r.attempts, Labels: r.task.Labels, Traceparent: r.task.Traceparent, Params: r.task.Params}
	if timeout := time.Duration(r.task.Timeout); timeout > 0 {
		t.Deadline = time.Now().Add(timeout)
		r.guardAfter(timeout+p.engine.options.Config.Limits.CancelGrace, plugins.StopTimedOut)
	}
	return t
}
