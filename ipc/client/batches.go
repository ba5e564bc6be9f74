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
	body, err := batchOf(tasks)
	if err != nil {
		return nil, err
	}
	b := new(api.Batch)
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

// taskBytes is about what a task takes as JSON beside what its sender decides.
const taskBytes = 256

// batchOf returns the body with tasks. It takes memory by what they are, each by itself: one that is large
// says nothing of the others.
func batchOf(tasks []*task.Task) ([]byte, error) {
	size := int64(0)
	for i, t := range tasks {
		if t == nil {
			return nil, inBatch(i, errNoTask)
		}
		size += taskBytes + t.Size()
	}
	body := append(make([]byte, 0, size+taskBytes), `{"tasks":[`...)
	for i, t := range tasks {
		if i > 0 {
			body = append(body, ',')
		}
		var err error
		if body, err = appendTask(body, t); err != nil {
			return nil, inBatch(i, err)
		}
	}
	return append(body, "]}"...), nil
}

func inBatch(i int, err error) error { return fmt.Errorf("task %d of the batch: %w", i+1, err) }

// Batch returns the progress of a batch.
func (c *Client) Batch(ctx context.Context, id task.ID) (v api.BatchView, err error) {
	err = c.persist(ctx, func() error { return c.ask(ctx, http.MethodGet, "/v1/batches/"+id.String(), nil, &v) })
	return v, err
}
