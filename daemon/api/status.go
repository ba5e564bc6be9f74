package api

// Health says how a component is.
type Health string

// The healths a component can have.
const (
	Healthy  Health = "healthy"
	Degraded Health = "degraded"
	Stopped  Health = "stopped"
)

// Status is the state of every component, in the shape that the Python module
// of the same name gave it.
type Status struct {
	Engine     EngineStatus         `json:"engine"`
	Components map[string]Component `json:"components"`
}

// EngineStatus is the engine's own line of Status.
type EngineStatus struct {
	IsRunning bool `json:"is_running"`
	// Draining: nothing is accepted or started.
	Draining      bool    `json:"draining"`
	Version       string  `json:"version"`
	PID           int     `json:"pid"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	// Tasks counts the known tasks by state.
	Tasks map[string]int `json:"tasks"`
}

// Component is one part's health and figures; the figures are numbers, or lists
// of objects where a part has parts of its own.
type Component struct {
	Health  Health         `json:"health"`
	Reason  string         `json:"reason,omitempty"`
	Metrics map[string]any `json:"metrics"`
	// PublicReason is what everybody sees instead of Reason, see Status.Public; empty: a
	// sentence that says nothing of it.
	PublicReason string `json:"-"`
}

// CallerPart is what waits of one caller, in input_queue's "callers".
type CallerPart struct {
	UID   uint32 `json:"uid"`
	Tasks int    `json:"tasks"`
	Bytes int64  `json:"bytes"`
}

// WorkerStatus is one worker in process_pool's "workers".
type WorkerStatus struct {
	ID       string `json:"id"`
	Pool     string `json:"pool"`
	Executor string `json:"executor"`
	Runtime  string `json:"runtime"`
	PID      int    `json:"pid"`
	// Core is the CPU that it is pinned to, -1: none.
	Core int `json:"core"`
	// CPUsAllowed is what the kernel reports for the process, e.g. "1".
	CPUsAllowed string `json:"cpus_allowed"`
	// State is "starting", "ready", "draining", "fenced", "stopping" or "dead", see
	// package lifecycle. A seat's worker that takes tasks and those that leave it have
	// the same ID.
	State string `json:"state"`
	// Leaving says why a draining, fenced or stopping worker goes.
	Leaving       string  `json:"leaving,omitempty"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	// Trial is "canary" for a worker that tries a new program, "control" for one that runs the
	// old one to compare with, empty for all others.
	Trial string `json:"trial,omitempty"`
	// MemoryLimit is how the worker's memory is bounded: "none", "cgroup" or
	// "rlimit_data".
	MemoryLimit string `json:"memory_limit,omitempty"`
	Slots       int    `json:"slots"`
	SlotsBusy   int    `json:"slots_busy"`
	TasksDone   uint64 `json:"tasks_done"`
	Restarts    int    `json:"restarts"`
	RSSBytes    int64  `json:"rss_bytes"`
	// PeakRSSBytes is the most that it has had resident.
	PeakRSSBytes int64 `json:"peak_rss_bytes"`
	// Degraded says why it is, empty that it is not.
	Degraded string `json:"degraded,omitempty"`
}
