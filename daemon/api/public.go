package api

import "path/filepath"

// The views that everybody who can connect may see. Each is made of what is known to be
// nobody's: counts, healths, capacities, and names of the configuration. Left out is all
// that may quote a script or name somebody's task, and all that is not listed here.

// forAdministrators is shown in the place of what only administrators see.
const forAdministrators = "; administrators see why"

// instead returns general in the place of a detail, if there is one.
func instead(general, detail string) string {
	if detail == "" {
		return ""
	}
	return general + forAdministrators
}

// Public returns the view for everybody.
func (s Status) Public() Status {
	all := map[string]Component{}
	for name, c := range s.Components {
		all[name] = c.public()
	}
	return Status{Engine: s.Engine, Components: all}
}

func (c Component) public() Component {
	shown := Component{Health: c.Health, Reason: c.PublicReason, Metrics: map[string]any{}}
	if shown.Reason == "" {
		shown.Reason = instead("it is not as it should be", c.Reason)
	}
	for name, value := range c.Metrics {
		switch v := value.(type) {
		case bool, int, int64, uint64, float64:
			shown.Metrics[name] = v
		case []WorkerStatus:
			shown.Metrics[name] = PublicWorkers(v)
		case string:
			if name == "sync" { // journal.sync of the configuration
				shown.Metrics[name] = v
			}
		}
	}
	return shown
}

// PublicWorkers returns the view for everybody of each.
func PublicWorkers(all []WorkerStatus) []WorkerStatus {
	shown := make([]WorkerStatus, len(all))
	for i := range all {
		shown[i] = all[i].public()
	}
	return shown
}

// public shows the pid and the core, which ps shows, too.
func (w *WorkerStatus) public() WorkerStatus {
	return WorkerStatus{ID: w.ID, Pool: w.Pool, Executor: w.Executor, Runtime: w.Runtime, PID: w.PID, Core: w.Core, CPUsAllowed: w.CPUsAllowed,
		State: w.State, Leaving: instead("it is being replaced", w.Leaving), UptimeSeconds: w.UptimeSeconds, Trial: w.Trial, MemoryLimit: w.MemoryLimit,
		Slots: w.Slots, SlotsBusy: w.SlotsBusy, TasksDone: w.TasksDone, Restarts: w.Restarts, RSSBytes: w.RSSBytes, PeakRSSBytes: w.PeakRSSBytes,
		Degraded: instead("it does not work as it should", w.Degraded)}
}

// Public returns the view for everybody but the schedule's owner.
func (s ScheduleStatus) Public() ScheduleStatus {
	return ScheduleStatus{Name: s.Name, Cron: s.Cron, TimeZone: s.TimeZone, Overlap: s.Overlap, CatchUp: s.CatchUp, Next: s.Next, Last: s.Last,
		Skipped: s.Skipped, Missed: s.Missed, RefusedAt: s.RefusedAt,
		RefusedReason: instead("its task was not accepted", s.RefusedReason)}
}

// Public returns the view for everybody.
func (x ExecutorStatus) Public() ExecutorStatus {
	return ExecutorStatus{Name: x.Name, Command: filepath.Base(x.Command), SHA256: x.SHA256, Runtime: x.Runtime, Pools: x.Pools,
		Program: x.Program, Version: x.Version, Capabilities: x.Capabilities, Settings: x.Settings}
}
