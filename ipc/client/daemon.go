package client

import (
	"context"
	"cpulb/daemon/api"
	"encoding/json"
	"net/http"
	"net/url"
)

// Status returns the daemon's status as JSON.
func (c *Client) Status(ctx context.Context) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &raw)
	return raw, err
}

// Workers lists the workers.
func (c *Client) Workers(ctx context.Context) ([]api.WorkerStatus, error) {
	var answer struct{ Workers []api.WorkerStatus }
	err := c.call(ctx, http.MethodGet, "/v1/workers", nil, &answer)
	return answer.Workers, err
}

// Executors lists the executors.
func (c *Client) Executors(ctx context.Context) ([]api.ExecutorStatus, error) {
	var answer struct{ Executors []api.ExecutorStatus }
	err := c.call(ctx, http.MethodGet, "/v1/executors", nil, &answer)
	return answer.Executors, err
}

// Schedules lists the schedules.
func (c *Client) Schedules(ctx context.Context) ([]api.ScheduleStatus, error) {
	var answer struct{ Schedules []api.ScheduleStatus }
	err := c.call(ctx, http.MethodGet, "/v1/schedules", nil, &answer)
	return answer.Schedules, err
}

// Stacks returns the stacks of a worker's threads, as text for people.
func (c *Client) Stacks(ctx context.Context, worker string) (string, error) {
	var answer struct{ Stacks string }
	err := c.call(ctx, http.MethodGet, "/v1/workers/"+url.PathEscape(worker)+"/stacks", nil, &answer)
	return answer.Stacks, err
}

// RestartWorker replaces a worker and returns once its successor is ready. An
// *api.Problem with the code restart_failed says why there is no successor; the
// worker then goes on.
func (c *Client) RestartWorker(ctx context.Context, worker string) error {
	return c.administer(ctx, "/v1/workers/"+url.PathEscape(worker)+"/restart")
}

// Drain stops the daemon from accepting and starting tasks, until Resume.
func (c *Client) Drain(ctx context.Context) error { return c.administer(ctx, "/v1/drain") }

// Resume ends a Drain.
func (c *Client) Resume(ctx context.Context) error { return c.administer(ctx, "/v1/resume") }

// Reload makes the daemon read its configuration again. An *api.Problem with the code
// reload_failed says why the old one still holds.
func (c *Client) Reload(ctx context.Context) error { return c.administer(ctx, "/v1/reload") }

func (c *Client) administer(ctx context.Context, path string) error {
	var answer json.RawMessage
	err := c.call(ctx, http.MethodPost, path, nil, &answer)
	return err
}
