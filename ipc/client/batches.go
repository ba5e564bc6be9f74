package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// ErrCutOff is matched when the daemon ended an answer before it was complete,
// because it stops or because this side read too slowly.
var ErrCutOff = errors.New("the daemon ended the answer before it was complete")

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
	}
	body = append(body, "]}"...)
	var b api.Batch
	if _, err := c.call(ctx, http.MethodPost, "/v1/batches", body, &b); err != nil {
		return nil, err
	}
	return &b, nil
}

// Batch returns the progress of a batch.
func (c *Client) Batch(ctx context.Context, id task.ID) (api.BatchView, error) {
	var v api.BatchView
	_, err := c.call(ctx, http.MethodGet, "/v1/batches/"+id.String(), nil, &v)
	return v, err
}

// BatchResults yields the Results of a batch in the order in which its tasks end.
// After an error it yields nothing more.
func (c *Client) BatchResults(ctx context.Context, id task.ID) iter.Seq2[*task.Result, error] {
	return follow[task.Result](ctx, c, "/v1/batches/"+id.String()+"/results")
}

// follow reads an answer with one T per line.
func follow[T any](ctx context.Context, c *Client, path string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		resp, err := c.request(ctx, http.MethodGet, path, nil)
		if err != nil {
			yield(nil, err)
			return
		}
		defer resp.Body.Close()
		for r := bufio.NewReaderSize(resp.Body, readBuffer); ; {
			text, err := readLine(r)
			switch {
			case errors.Is(err, io.EOF) && len(text) == 0:
				return
			case err != nil && ctx.Err() == nil:
				err = fmt.Errorf("%w: %w", ErrCutOff, err)
			case err == nil:
				v := new(T)
				if err = json.Unmarshal(text, v); err == nil && yield(v, nil) {
					continue
				} else if err == nil {
					return
				}
				err = fmt.Errorf("answer: %w", err)
			}
			yield(nil, err)
			return
		}
	}
}
