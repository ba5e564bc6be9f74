package fleet

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
)

// statsTimeout bounds how long Reports waits for one worker's own figures; a
// worker that is late is reported without them.
const statsTimeout = 500 * time.Millisecond

// Report is what is known of one worker, or of a seat without one.
type Report struct {
	api.WorkerStatus
	worker *Worker // nil: the seat has none
	// leaving: it takes no more tasks. aside: the pool is complete without it.
	leaving, aside bool
}

// Statuses returns what of the reports clients see.
func Statuses(reports []Report) []api.WorkerStatus {
	all := make([]api.WorkerStatus, len(reports))
	for i := range reports {
		all[i] = reports[i].WorkerStatus
	}
	return all
}

// Degraded says why the pools are not what they should be, "" when they are, and what of
// that everybody may see. A worker that leaves is in order: its seat has, or will have,
// another.
func Degraded(reports []Report) (reason, public string) {
	for i := range reports {
		switch r := &reports[i]; {
		case r.leaving:
		case r.Degraded != "":
			return "worker " + r.ID + ": " + r.Degraded, "worker " + r.ID + " does not work as it should; administrators see why"
		case r.State != lifecycle.Ready.String() && !r.aside:
			reason = "worker " + r.ID + " is " + r.State
			return reason, reason
		}
	}
	return "", ""
}

// Reports reports every seat's workers, with what their processes say of themselves
// where they answer in time.
func (f *Fleet) Reports(ctx context.Context) []Report {
	var all []Report
	f.do(func(*effects.List) {
		for _, s := range f.SeatsLocked() {
			all = append(all, s.reports()...)
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

// Runs returns the process of one of the pool's workers, and its runtime; 0 if the pool
// has none.
func (p *Pool) Runs() (pid int, runtime string) {
	for _, s := range p.seats {
		if s.worker != nil {
			return s.worker.process.PID(), s.worker.process.Runtime()
		}
	}
	return 0, ""
}

// reports reports the seat's workers, or that it has none.
func (s *Seat) reports() []Report {
	workers := s.workers()
	if s.life.Err() == nil && (s.worker == nil || len(workers) == len(s.leaving)) {
		workers = append([]*Worker{nil}, workers...)
	}
	var all []Report
	for _, w := range workers {
		r := Report{worker: w, aside: s.kind != regular, WorkerStatus: api.WorkerStatus{
			ID:       s.spec.ID,
			Pool:     s.pool.Name(),
			Executor: s.spec.Executor,
			Core:     s.core,
			Slots:    s.spec.Slots + s.spec.LoopSlots,
			Restarts: s.restarts(),
			State:    s.state().String(),
			Trial:    s.kind.trial(),
		}}
		if w != nil {
			w.reportTo(&r)
		}
		if !r.leaving {
			r.Degraded = s.degraded()
		}
		all = append(all, r)
	}
	return all
}

// degraded says why the seat is not as it should be; "": it is.
func (s *Seat) degraded() string {
	last, looping := s.deaths.CrashLoop()
	switch {
	case s.crowded:
		return fmt.Sprintf("no other worker is started before one of the %d that leave has ended", len(s.leaving))
	case looping:
		return s.naming("crash loop: " + last.String())
	}
	return s.naming(cmp.Or(s.pool.recurring(), s.pool.breached()))
}

// naming adds to what is wrong with a seat which program it is of.
func (s *Seat) naming(why string) string {
	if why == "" || strings.Contains(why, s.spec.Command) {
		return why
	}
	return fmt.Sprintf("%s (executor %s: %s)", why, s.spec.Executor, s.spec.Command)
}

// reportTo fills in what the daemon knows of the process.
func (w *Worker) reportTo(r *Report) {
	state := w.state.Load()
	r.State, r.leaving = state.String(), state != lifecycle.Ready
	r.Executor, r.Core, r.Slots = w.spec.Executor, w.core, w.spec.Slots+w.spec.LoopSlots // the seat's may be other ones by now
	r.PID, r.Runtime, r.MemoryLimit = w.process.PID(), w.process.Runtime(), string(w.process.MemoryLimit())
	r.UptimeSeconds, r.SlotsBusy = (w.pool.fleet.Elapsed() - w.born).Seconds(), w.busy()
	if r.leaving {
		r.Leaving = w.why
	}
}

// ask adds what the process reports.
func (r *Report) ask(ctx context.Context) {
	stats, err := r.worker.process.Stats(ctx)
	if err != nil {
		return
	}
	if isCPUList(stats.CPUsAllowed) { // it comes from a process that scripts share
		r.CPUsAllowed = stats.CPUsAllowed
	}
	r.TasksDone, r.RSSBytes, r.PeakRSSBytes = stats.TasksDone, stats.RSSBytes, stats.PeakRSSBytes
	if r.Degraded == "" {
		r.Degraded = stats.Degraded
	}
}

// isCPUList reports whether text can be the kernel's list of CPUs, e.g. "0-3,8".
func isCPUList(text string) bool { return len(text) < 4096 && strings.Trim(text, "0123456789,-") == "" }
