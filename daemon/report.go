package daemon

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"
)

// statsTimeout bounds how long Status waits for one worker's own figures; a
// worker that is late is reported without them.
const statsTimeout = 500 * time.Millisecond

// stacksTimeout is for how long Stacks waits for a worker's interpreter lock.
const stacksTimeout = 2 * time.Second

// Status reports on every component. It asks the workers for their figures, all
// at once.
func (e *Engine) Status(ctx context.Context) Status {
	workers := e.workers(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	return Status{
		Engine: EngineStatus{IsRunning: e.running && !e.draining, Version: e.options.Version, PID: os.Getpid(),
			UptimeSeconds: time.Since(e.started).Seconds(), Tasks: e.counts()},
		Components: map[string]Component{
			"input_queue":  e.inputQueue(),
			"output_queue": {Health: e.health(), Metrics: map[string]any{"size": e.store.size(), "total_put": e.store.put, "total_get": e.store.got}},
			"process_pool": e.processPool(workers),
		},
	}
}

func (e *Engine) health() Health {
	if e.running {
		return Healthy
	}
	return Stopped
}

func (e *Engine) counts() map[string]int {
	n := map[string]int{}
	for _, s := range task.Statuses() {
		n[s.String()] = 0
	}
	for _, r := range e.store.tasks {
		n[r.state.Load().String()]++
	}
	return n
}

func (e *Engine) inputQueue() Component {
	c := Component{Health: e.health(), Metrics: map[string]any{"size": e.queue.Len(), "capacity": e.queue.Capacity(),
		"total_put": e.queue.Stats().Put, "total_dropped": e.queue.Stats().Dropped}}
	if c.Health == Healthy && e.queue.Len() >= e.queue.Capacity() {
		c.Health, c.Reason = Degraded, "the queue is full"
	}
	return c
}

func (e *Engine) processPool(workers []WorkerStatus) Component {
	c := Component{Health: e.health()}
	total, cpu, io, active := 0, 0, 0, 0
	for _, p := range e.pools {
		total += len(p.seats)
		if slices.Contains(p.config.TaskTypes, string(task.CPUBound)) {
			cpu += len(p.seats)
		}
		if slices.Contains(p.config.TaskTypes, string(task.IOBound)) {
			io += len(p.seats)
		}
		active += p.busy()
	}
	for _, w := range workers {
		if c.Health == Healthy && w.State != "ready" {
			c.Health, c.Reason = Degraded, "worker "+w.ID+" is "+w.State
		}
		if c.Health == Healthy && w.Degraded != "" {
			c.Health, c.Reason = Degraded, "worker "+w.ID+": "+w.Degraded
		}
	}
	c.Metrics = map[string]any{"total_workers": total, "cpu_workers": cpu, "io_workers": io,
		"active_threads": active, "workers": workers}
	return c
}

// workers reports every seat, with what its process says of itself where it
// answers in time.
func (e *Engine) workers(ctx context.Context) []WorkerStatus {
	e.mu.Lock()
	var all []WorkerStatus
	var processes []*supervisor.Process
	for _, s := range e.seats() {
		w := WorkerStatus{ID: s.spec.ID, Pool: s.pool.config.Name, Executor: s.spec.Executor, Core: s.core,
			State: s.state(), Slots: s.spec.Slots + s.spec.LoopSlots, SlotsBusy: s.busy(), Restarts: s.restarts}
		if s.process != nil {
			w.PID, w.Runtime = s.process.PID(), s.process.Runtime()
		}
		all = append(all, w)
		processes = append(processes, s.process)
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i, p := range processes {
		if p == nil || all[i].State != "ready" {
			continue
		}
		wg.Go(func() {
			if stats, err := p.Stats(ctx); err == nil {
				all[i].CPUsAllowed, all[i].TasksDone, all[i].RSSBytes = stats.CPUsAllowed, stats.TasksDone, stats.RSSBytes
				all[i].PeakRSSBytes, all[i].Degraded = stats.PeakRSSBytes, stats.Degraded
			}
		})
	}
	wg.Wait()
	return all
}
