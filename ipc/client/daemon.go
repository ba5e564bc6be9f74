package client

import (
	"context"
	"cpulb/daemon/api"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Status returns the daemon's status as JSON.
func (c *Client) Status(ctx context.Context) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.ask(ctx, http.MethodGet, "/v1/status", nil, &raw)
	return raw, err
}

// Workers lists the workers.
func (c *Client) Workers(ctx context.Context) ([]api.WorkerStatus, error) {
	var answer struct{ Workers []api.WorkerStatus }
	err := c.ask(ctx, http.MethodGet, "/v1/workers", nil, &answer)
	return answer.Workers, err
}

// Executors lists the executors.
func (c *Client) Executors(ctx context.Context) ([]api.ExecutorStatus, error) {
	var answer struct{ Executors []api.ExecutorStatus }
	err := c.ask(ctx, http.MethodGet, "/v1/executors", nil, &answer)
	return answer.Executors, err
}

// Swap has an executor's workers run another program. It returns at the end of the swap, or
// when that has been under way for wait: Executors then says how far it has come. An
// *api.Problem with the code swap_failed says why the old program still has all tasks.
func (c *Client) Swap(ctx context.Context, executor string, req api.SwapRequest, wait time.Duration) (api.ExecutorStatus, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return api.ExecutorStatus{}, err
	}
	return c.swap(ctx, executor, "swap", body, wait)
}

// Rollback has an executor's workers run the program again that they ran before the last swap,
// or ends a swap that is under way. It returns as Swap does.
func (c *Client) Rollback(ctx context.Context, executor string, wait time.Duration) (api.ExecutorStatus, error) {
	return c.swap(ctx, executor, "rollback", nil, wait)
}

func (c *Client) swap(ctx context.Context, executor, what string, body []byte, wait time.Duration) (api.ExecutorStatus, error) {
	var status api.ExecutorStatus
	err := c.callOnce(ctx, http.MethodPost, "/v1/executors/"+url.PathEscape(executor)+"/"+what+"?wait="+url.QueryEscape(wait.String()), body, &status)
	return status, err
}

// Schedules lists the schedules.
func (c *Client) Schedules(ctx context.Context) ([]api.ScheduleStatus, error) {
	var answer struct{ Schedules []api.ScheduleStatus }
	err := c.ask(ctx, http.MethodGet, "/v1/schedules", nil, &answer)
	return answer.Schedules, err
}

// Stacks returns the stacks of a worker's threads, as text for people.
func (c *Client) Stacks(ctx context.Context, worker string) (string, error) {
	var answer struct{ Stacks string }
	err := c.whileAlive(ctx, nil, func(ctx context.Context) error {
		return c.call(ctx, http.MethodGet, "/v1/workers/"+url.PathEscape(worker)+"/stacks", nil, &answer)
	})
	return answer.Stacks, err
}

// Configuration returns what holds in the daemon. It is for administrators.
func (c *Client) Configuration(ctx context.Context) (api.Configuration, error) {
	var answer api.Configuration
	err := c.ask(ctx, http.MethodGet, "/v1/config", nil, &answer)
	return answer, err
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
	err := c.callOnce(ctx, http.MethodPost, path, nil, &answer)
	return err
}
