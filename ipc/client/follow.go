package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"

	"cpulb/daemon/task"
)

// ErrCutOff is matched when the daemon ended an answer before it was complete,
// because it stops or because this side read too slowly.
var ErrCutOff = errors.New("the daemon ended the answer before it was complete")

// Events yields the events of a task after a cursor, first those that are kept and
// then new ones, up to the result. The zero cursor is before the first. No event comes
// twice, also when the daemon is restarted meanwhile. After an error it yields nothing
// more; go on after the cursor of the last event.
func (c *Client) Events(ctx context.Context, id task.ID, after task.Cursor) iter.Seq2[*task.Event, error] {
	return c.events(ctx, id, after, true)
}

// KeptEvents is Events without those to come.
func (c *Client) KeptEvents(ctx context.Context, id task.ID, after task.Cursor) iter.Seq2[*task.Event, error] {
	return c.events(ctx, id, after, false)
}

func (c *Client) events(ctx context.Context, id task.ID, after task.Cursor, toCome bool) iter.Seq2[*task.Event, error] {
	over := false
	path := func() string {
		q := url.Values{}
		if after != (task.Cursor{}) {
			text, _ := after.MarshalText() // has no error to return
			q.Set("after", string(text))
		}
		if !toCome {
			q.Set("follow", "false")
		}
		return "/v1/tasks/" + id.String() + "/events?" + q.Encode()
	}
	decode := func(text []byte) (*task.Event, error) {
		ev := new(task.Event)
		return ev, json.Unmarshal(text, ev)
	}
	return followed(ctx, c, path, decode, func(ev *task.Event) (isNew bool) {
		isNew = !over
		after, over = ev.Cursor, ev.Kind == task.EventResult
		return isNew
	})
}

// BatchResults yields the Results of a batch in the order in which its tasks end, each
// once, also when the daemon is restarted meanwhile. After an error it yields nothing more.
func (c *Client) BatchResults(ctx context.Context, id task.ID) iter.Seq2[*task.Result, error] {
	var answers task.Answers
	seen := map[task.ID]struct{}{}
	return followed(ctx, c, func() string { return "/v1/batches/" + id.String() + "/results" }, answers.Result, func(r *task.Result) bool {
		_, known := seen[r.ID]
		seen[r.ID] = struct{}{}
		return !known
	})
}

// followed reads an answer with one T per line, and goes on with the next daemon at path,
// which is asked for again. It yields those that isNew reports to be new.
func followed[T any](ctx context.Context, c *Client, path func() string, decode func([]byte) (*T, error), isNew func(*T) bool) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		left := false
		err := c.retry(ctx, c.stops, func() error {
			for v, err := range follow(ctx, c, path(), decode) {
				if err != nil {
					return err
				}
				if isNew(v) && !yield(v, nil) {
					left = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// follow reads an answer with one T per line.
func follow[T any](ctx context.Context, c *Client, path string, decode func([]byte) (*T, error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		var resp *http.Response
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		err := c.begun(cancel, func() (err error) {
			resp, err = request(ctx, c.http, http.MethodGet, path, nil)
			return err
		})
		if err != nil {
			yield(nil, err)
			return
		}
		c.presence.heard()
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
			yield(nil, because(ctx, err))
			return
		}
	}
}
