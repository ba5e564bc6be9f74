package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"cpulb/daemon/task"
)

// Worker is one worker of the daemon.
type Worker struct {
	ID       string `json:"id"`
	Pool     string `json:"pool"`
	Executor string `json:"executor"`
	Runtime  string `json:"runtime"`
	PID      int    `json:"pid"`
	// Core is the CPU it is pinned to, -1 if to none.
	Core        int    `json:"core"`
	CPUsAllowed string `json:"cpus_allowed"`
	// State is "starting", "ready", "draining", "fenced", "stopping" or "dead".
	State string `json:"state"`
	// Leaving says why a draining, fenced or stopping worker goes.
	Leaving       string  `json:"leaving"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	// MemoryLimit is how its memory is bounded: "none", "cgroup" or "rlimit_data".
	MemoryLimit  string `json:"memory_limit"`
	Slots        int    `json:"slots"`
	SlotsBusy    int    `json:"slots_busy"`
	TasksDone    uint64 `json:"tasks_done"`
	Restarts     int    `json:"restarts"`
	RSSBytes     int64  `json:"rss_bytes"`
	PeakRSSBytes int64  `json:"peak_rss_bytes"`
	// Degraded says what is wrong with it; empty: nothing.
	Degraded string `json:"degraded"`
}

// Executor is one executor of the daemon's configuration.
type Executor struct {
	Name    string `json:"name"`
	Command string `json:"command"`
	// SHA256 is of the program that runs; empty while no worker does.
	SHA256  string   `json:"sha256"`
	Runtime string   `json:"runtime"`
	Pools   []string `json:"pools"`
}

// Schedule is one schedule of the daemon's configuration.
type Schedule struct {
	Name     string `json:"name"`
	Cron     string `json:"cron"`
	TimeZone string `json:"time_zone"`
	Overlap  string `json:"overlap"`
	CatchUp  string `json:"catch_up"`
	// Next is when it fires next, Last when it did; nil: never.
	Next     *time.Time `json:"next"`
	Last     *time.Time `json:"last"`
	LastTask *task.ID   `json:"last_task_id"`
	// Skipped counts the times that passed because the task before had not ended.
	Skipped uint64 `json:"skipped"`
}

// Status returns the daemon's status as JSON.
func (c *Client) Status(ctx context.Context) (json.RawMessage, error) {
	var raw json.RawMessage
	_, err := c.call(ctx, http.MethodGet, "/v1/status", nil, &raw)
	return raw, err
}

// Workers lists the workers.
func (c *Client) Workers(ctx context.Context) ([]Worker, error) {
	var answer struct{ Workers []Worker }
	_, err := c.call(ctx, http.MethodGet, "/v1/workers", nil, &answer)
	return answer.Workers, err
}

// Executors lists the executors.
func (c *Client) Executors(ctx context.Context) ([]Executor, error) {
	var answer struct{ Executors []Executor }
	_, err := c.call(ctx, http.MethodGet, "/v1/executors", nil, &answer)
	return answer.Executors, err
}

// Schedules lists the schedules.
func (c *Client) Schedules(ctx context.Context) ([]Schedule, error) {
	var answer struct{ Schedules []Schedule }
	_, err := c.call(ctx, http.MethodGet, "/v1/schedules", nil, &answer)
	return answer.Schedules, err
}

// Stacks tells what the threads of a worker are doing, as text for people.
func (c *Client) Stacks(ctx context.Context, worker string) (string, error) {
	var answer struct{ Stacks string }
	_, err := c.call(ctx, http.MethodGet, "/v1/workers/"+url.PathEscape(worker)+"/stacks", nil, &answer)
	return answer.Stacks, err
}

// RestartWorker has a worker replaced, and returns once its successor is ready. A
// *Problem with the code restart_failed says why there is none; a worker that runs goes on.
func (c *Client) RestartWorker(ctx context.Context, worker string) error {
	return c.administer(ctx, "/v1/workers/"+url.PathEscape(worker)+"/restart")
}

// Drain has the daemon accept and start nothing until Resume.
func (c *Client) Drain(ctx context.Context) error { return c.administer(ctx, "/v1/drain") }

// Resume ends a Drain.
func (c *Client) Resume(ctx context.Context) error { return c.administer(ctx, "/v1/resume") }

// Reload has the daemon read its configuration again. A *Problem with the code
// reload_failed says why the old one still holds.
func (c *Client) Reload(ctx context.Context) error { return c.administer(ctx, "/v1/reload") }

func (c *Client) administer(ctx context.Context, path string) error {
	var answer json.RawMessage
	_, err := c.call(ctx, http.MethodPost, path, nil, &answer)
	return err
}
