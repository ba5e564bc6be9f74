package daemon

import (
	"context"
	"sync"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
)

// statsTimeout bounds how long Status waits for one worker's own figures; a
// worker that is late is reported without them.
const statsTimeout = 500 * time.Millisecond

// report is what is known of one worker, or of a seat without one.
type report struct {
	api.WorkerStatus
	worker *worker // nil: the seat has none
	// leaving: it takes no more tasks. aside: the pool is complete without it.
	leaving, aside bool
}

func statuses(reports []report) []api.WorkerStatus {
	all := make([]api.WorkerStatus, len(reports))
	for i := range reports {
		all[i] = reports[i].WorkerStatus
	}
	return all
}

// Workers reports every worker, as Status does.
func (e *Engine) Workers(ctx context.Context) []api.WorkerStatus { return statuses(e.reports(ctx)) }

// degraded says why the pools are not what they should be, "" when they are. A
// worker that leaves is in order: its seat has, or will have, another.
func degraded(reports []report) string {
	for i := range reports {
		switch r := &reports[i]; {
		case r.leaving:
		case r.Degraded != "":
			return "worker " + r.ID + ": " + r.Degraded
		case r.State != lifecycle.Ready.String() && !r.aside:
			return "worker " + r.ID + " is " + r.State
		}
	}
	return ""
}

// reports reports every seat's workers, with what their processes say of
// themselves where they answer in time.
func (e *Engine) reports(ctx context.Context) []report {
	var all []report
	e.do(func(*effects.List) {
		for _, s := range e.seatsLocked() {
			all = append(all, s.reportsLocked()...)
		}
	})
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i := range all {
		if r := &all[i]; r.worker != nil && r.State != lifecycle.Stopping.String() {
			wg.Go(func() { r.ask(ctx) })
		}
	}
	wg.Wait()
	return all
}

// reportsLocked reports the seat's workers, or that it has none.
func (s *seat) reportsLocked() []report {
	workers := s.workersLocked()
	if s.life.Err() == nil && (s.worker == nil || len(workers) == len(s.leaving)) {
		workers = append([]*worker{nil}, workers...)
	}
	var all []report
	for _, w := range workers {
		r := report{worker: w, aside: s.alone || s.standby, WorkerStatus: api.WorkerStatus{ID: s.spec.ID, Pool: s.pool.config.Name, Executor: s.spec.Executor,
			Core: s.core, Slots: s.spec.Slots + s.spec.LoopSlots, Restarts: s.restarts, State: s.stateLocked().String()}}
		if w != nil {
			w.reportTo(&r)
		}
		if last, looping := s.deaths.CrashLoop(); looping && !r.leaving {
			r.Degraded = "crash loop: " + last.String()
		}
		all = append(all, r)
	}
	return all
}

// reportTo fills in what the daemon knows of the process.
func (w *worker) reportTo(r *report) {
	state := w.state.Load()
	r.State, r.leaving = state.String(), state != lifecycle.Ready
	r.Executor, r.Core, r.Slots = w.spec.Executor, w.core, w.spec.Slots+w.spec.LoopSlots // the seat's may be other ones by now
	r.PID, r.Runtime, r.MemoryLimit = w.process.PID(), w.process.Runtime(), string(w.process.MemoryLimit())
	r.UptimeSeconds, r.SlotsBusy = (w.seat.pool.engine.elapsed() - w.born).Seconds(), w.busy()
	if r.leaving {
		r.Leaving = w.why
	}
}

// ask adds what the process reports.
func (r *report) ask(ctx context.Context) {
	stats, err := r.worker.process.Stats(ctx)
	if err != nil {
		return
	}
	r.CPUsAllowed, r.TasksDone, r.RSSBytes, r.PeakRSSBytes = stats.CPUsAllowed, stats.TasksDone, stats.RSSBytes, stats.PeakRSSBytes
	if r.Degraded == "" {
		r.Degraded = stats.Degraded
	}
}
