package client

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// SubmitBatch submits tasks, each with an ID, in one call. A task that is refused is
// reported in the answer; the others are accepted.
func (c *Client) SubmitBatch(ctx context.Context, tasks []*task.Task) (*api.Batch, error) {
	body := []byte(`{"tasks":[`)
	for i, t := range tasks {
		if i > 0 {
			body = append(body, ',')
		}
		var err error
		if body, err = appendTask(body, t); err != nil {
			return nil, fmt.Errorf("task %d of the batch: %w", i+1, err)
		}
		if i == 0 { // the others are likely to be as long
			body = slices.Grow(body, (len(body)+len(body)/8)*len(tasks))
		}
	}
	body = append(body, "]}"...)
	b := new(api.Batch)
	var err error
	if slices.ContainsFunc(tasks, once) {
		err = c.callOnce(ctx, http.MethodPost, "/v1/batches", body, b)
	} else {
		err = c.persist(ctx, func() error { return c.post(ctx, "/v1/batches", body, b) })
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Batch returns the progress of a batch.
func (c *Client) Batch(ctx context.Context, id task.ID) (v api.BatchView, err error) {
	err = c.persist(ctx, func() error { return c.ask(ctx, http.MethodGet, "/v1/batches/"+id.String(), nil, &v) })
	return v, err
}
