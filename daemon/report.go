package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/journal"
	"cpulb/daemon/task"
)

// Status reports on every component. It asks the workers for their figures, all
// at once. Who asks together gets the same answer, which is not to be changed.
func (e *Engine) Status(ctx context.Context) api.Status { return e.statuses.get(ctx).status }

// Workers reports every worker, as Status does.
func (e *Engine) Workers(ctx context.Context) []api.WorkerStatus {
	return fleet.Statuses(e.statuses.get(ctx).reports)
}

// overview is what there is to report.
type overview struct {
	status  api.Status
	reports []fleet.Report
}

func (e *Engine) overview(ctx context.Context) overview {
	reports := e.fleet.Reports(ctx)
	var kept journal.Stats
	if e.journal != nil {
		kept = e.journal.Stats()
	}
	var status api.Status
	e.do(func(*effects.List) {
		e.evictLocked()
		status = e.statusLocked(reports, kept)
	})
	return overview{status, reports}
}

func (e *Engine) statusLocked(reports []fleet.Report, kept journal.Stats) api.Status {
	return api.Status{
		Engine: api.EngineStatus{IsRunning: e.running && !e.draining, Draining: e.draining, Version: e.options.Version, PID: os.Getpid(),
			UptimeSeconds: e.elapsed().Seconds(), Tasks: e.countsLocked()},
		Components: map[string]api.Component{
			"input_queue":  e.inputQueueLocked(),
			"output_queue": e.outputQueueLocked(),
			"process_pool": e.processPoolLocked(reports),
			"journal":      e.journalStatusLocked(kept),
		},
	}
}

func (e *Engine) outputQueueLocked() api.Component {
	return api.Component{Health: e.healthLocked(), Metrics: map[string]any{
		"size": e.store.Size(), "bytes": e.store.Bytes(), "total_put": e.store.Put(), "total_get": e.store.Got()}}
}

func (e *Engine) healthLocked() api.Health {
	if e.running {
		return api.Healthy
	}
	return api.Stopped
}

func (e *Engine) countsLocked() map[string]int {
	n := map[string]int{}
	for _, s := range task.Statuses() {
		n[s.String()] = e.store.Count(s)
	}
	return n
}

func (e *Engine) inputQueueLocked() api.Component {
	q, capacity := e.queue.Stats(), e.queue.Capacity()
	c := api.Component{Health: e.healthLocked(), Metrics: map[string]any{
		"size":          e.queue.Len(),
		"capacity":      capacity,
		"bytes":         q.Bytes,
		"waiting":       q.Waiting,
		"parked":        q.Parked,
		"blocked":       q.Blocked,
		"total_put":     q.Put,
		"total_dropped": q.Dropped,
		"total_expired": q.Expired,
		"callers":       e.callersLocked(),
	}}
	switch size := e.queue.Len(); {
	case c.Health != api.Healthy:
	case q.Blocked > 0:
		c.Health, c.Reason = api.Degraded, "callers wait for room in the queue"
	case size >= capacity:
		c.Health, c.Reason = api.Degraded, "the queue is full"
	case size*100 >= capacity*nearlyFull:
		c.Health, c.Reason = api.Degraded, fmt.Sprintf("the queue is over %d%% full", nearlyFull)
	}
	c.PublicReason = c.Reason
	return c
}

// mostCallers bounds the callers that a status names.
const mostCallers = 10

// callersLocked are those who have most of the queue.
func (e *Engine) callersLocked() []api.CallerPart {
	parts := e.queue.Parts()
	all := []api.CallerPart{}
	for _, p := range parts[:min(len(parts), mostCallers)] {
		all = append(all, api.CallerPart{UID: p.Owner, Tasks: p.Tasks, Bytes: p.Bytes})
	}
	return all
}

// nearlyFull is how many hundredths of its capacity make the queue degraded: a little less
// than the share of one caller alone.
const nearlyFull = 60

// slowCommit is a commit of the journal that makes it degraded.
const slowCommit = time.Second

func (e *Engine) journalStatusLocked(s journal.Stats) api.Component {
	c := api.Component{Health: e.healthLocked(), Metrics: map[string]any{"sync": e.config.Load().Journal.Sync}}
	if e.journal == nil {
		c.Metrics["sync"], c.Reason = "off", "nothing outlives the daemon"
		c.PublicReason = c.Reason
		return c
	}
	c.Metrics["waiting"], c.Metrics["waiting_bytes"] = s.Waiting, s.WaitingBytes
	c.Metrics["commits"], c.Metrics["bytes"] = s.Commits, s.Bytes
	c.Metrics["last_commit_seconds"] = s.LastCommit.Seconds()
	var reasons, public []string
	if s.Failing != nil {
		reasons, public = append(reasons, "nothing can be committed: "+s.Failing.Error()), append(public, "nothing can be committed")
	}
	if e.overfull() {
		reasons, public = append(reasons, overfullReason(s.WaitingBytes)), append(public, overfullReason(s.WaitingBytes))
	}
	if reasons == nil && s.LastCommit > slowCommit {
		reasons = append(reasons, "the last commit took "+s.LastCommit.Round(time.Millisecond).String())
		public = reasons
	}
	if c.Health == api.Healthy && reasons != nil {
		c.Health, c.Reason, c.PublicReason = api.Degraded, strings.Join(reasons, "; "), strings.Join(public, "; ")
	}
	return c
}

func (e *Engine) processPoolLocked(reports []fleet.Report) api.Component {
	c := api.Component{Health: e.healthLocked()}
	total, cpu, io, active, deaths, unfit, poisoned := 0, 0, 0, 0, 0, 0, 0
	for _, p := range e.fleet.PoolsLocked() {
		total += p.Workers()
		if slices.Contains(p.Config().TaskTypes, string(task.CPUBound)) {
			cpu += p.Workers()
		}
		if slices.Contains(p.Config().TaskTypes, string(task.IOBound)) {
			io += p.Workers()
		}
		active += p.Busy()
		deaths += p.Deaths()
		unfit += p.Unfit()
		poisoned += p.Poisoned()
	}
	if reason, public := fleet.Degraded(reports); c.Health == api.Healthy && reason != "" {
		c.Health, c.Reason, c.PublicReason = api.Degraded, reason, public
	}
	c.Metrics = map[string]any{"total_workers": total, "cpu_workers": cpu, "io_workers": io,
		"active_threads": active, "workers": fleet.Statuses(reports),
		"worker_deaths": deaths, "unfit_workers": unfit, "poisoned_tasks": poisoned}
	return c
}
