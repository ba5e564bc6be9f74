package daemon

import (
	"context"
	"sync"
	"time"

	"cpulb/plugins/supervisor/lifecycle"
)

// statsTimeout bounds how long Status waits for one worker's own figures; a
// worker that is late is reported without them.
const statsTimeout = 500 * time.Millisecond

// stacksTimeout is for how long Stacks waits for a worker's interpreter lock.
const stacksTimeout = 2 * time.Second

// degraded says why the pools are not what they should be, "" when they are. A
// worker that leaves is in order: its seat has, or will have, another.
func degraded(workers []WorkerStatus) string {
	for _, w := range workers {
		switch {
		case w.leaving:
		case w.Degraded != "":
			return "worker " + w.ID + ": " + w.Degraded
		case w.State != lifecycle.Ready.String() && !w.aside:
			return "worker " + w.ID + " is " + w.State
		}
	}
	return ""
}

// workers reports every seat's workers, with what their processes say of
// themselves where they answer in time.
func (e *Engine) workers(ctx context.Context) []WorkerStatus {
	e.mu.Lock()
	var all []WorkerStatus
	var workers []*worker
	for _, s := range e.seats() {
		reports, of := s.report()
		all, workers = append(all, reports...), append(workers, of...)
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i, w := range workers {
		if w == nil || all[i].State == lifecycle.Stopping.String() {
			continue
		}
		wg.Go(func() { all[i].ask(ctx, w) })
	}
	wg.Wait()
	return all
}

// report tells of the seat's workers; one without any is told of with a nil worker.
// Engine.mu is held.
func (s *seat) report() ([]WorkerStatus, []*worker) {
	workers := s.workers()
	if s.life.Err() == nil && (s.worker == nil || len(workers) == len(s.leaving)) {
		workers = append([]*worker{nil}, workers...)
	}
	var all []WorkerStatus
	for _, w := range workers {
		st := WorkerStatus{ID: s.spec.ID, Pool: s.pool.config.Name, Executor: s.spec.Executor, Core: s.core,
			aside: s.alone || s.standby, Slots: s.spec.Slots + s.spec.LoopSlots, Restarts: s.restarts, State: s.state().String()}
		if w != nil {
			w.reportTo(&st)
		}
		if last, looping := s.deaths.CrashLoop(); looping && !st.leaving {
			st.Degraded = "crash loop: " + last.String()
		}
		all = append(all, st)
	}
	return all, workers
}

// reportTo fills in what the daemon knows of the process. Engine.mu is held.
func (w *worker) reportTo(st *WorkerStatus) {
	state := w.state.Load()
	st.State, st.leaving = state.String(), state != lifecycle.Ready
	st.Executor, st.Core, st.Slots = w.spec.Executor, w.core, w.spec.Slots+w.spec.LoopSlots // the seat's may be other ones by now
	st.PID, st.Runtime, st.MemoryLimit = w.process.PID(), w.process.Runtime(), string(w.process.MemoryLimit())
	st.UptimeSeconds, st.SlotsBusy = time.Since(w.born).Seconds(), w.busy()
	if st.leaving {
		st.Leaving = w.why
	}
}

// ask adds what the process tells.
func (st *WorkerStatus) ask(ctx context.Context, w *worker) {
	stats, err := w.process.Stats(ctx)
	if err != nil {
		return
	}
	st.CPUsAllowed, st.TasksDone, st.RSSBytes, st.PeakRSSBytes = stats.CPUsAllowed, stats.TasksDone, stats.RSSBytes, stats.PeakRSSBytes
	if st.Degraded == "" {
		st.Degraded = stats.Degraded
	}
}
