package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"

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
		if i == 0 { // the others are likely to be as long
			body = slices.Grow(body, (len(body)+len(body)/8)*len(tasks))
		}
	}
	body = append(body, "]}"...)
	var b api.Batch
	if err := c.call(ctx, http.MethodPost, "/v1/batches", body, &b); err != nil {
		return nil, err
	}
	return &b, nil
}

// Batch returns the progress of a batch.
func (c *Client) Batch(ctx context.Context, id task.ID) (api.BatchView, error) {
	var v api.BatchView
	err := c.call(ctx, http.MethodGet, "/v1/batches/"+id.String(), nil, &v)
	return v, err
}

// BatchResults yields the Results of a batch in the order in which its tasks end.
// After an error it yields nothing more.
func (c *Client) BatchResults(ctx context.Context, id task.ID) iter.Seq2[*task.Result, error] {
	var answers task.Answers
	return follow(ctx, c, "/v1/batches/"+id.String()+"/results", answers.Result)
}

// follow reads an answer with one T per line.
func follow[T any](ctx context.Context, c *Client, path string, decode func([]byte) (*T, error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		resp, err := c.request(ctx, http.MethodGet, path, nil)
		if err != nil {
			yield(nil, err)
			return
		}
		defer resp.Body.Close()
		in := lines{r: resp.Body}
		for err := error(nil); ; err = in.more() {
			for text, _ := in.take(); text != nil; text, _ = in.take() {
				v, err := decode(text)
				if err != nil {
					yield(nil, fmt.Errorf("answer: %w", err))
					return
				}
				if !yield(v, nil) {
					return
				}
			}
			switch {
			case err == nil:
				continue
			case errors.Is(err, io.EOF) && len(in.rest()) == 0:
				return
			case ctx.Err() == nil:
				err = fmt.Errorf("%w: %w", ErrCutOff, err)
			}
			yield(nil, err)
			return
		}
	}
}
