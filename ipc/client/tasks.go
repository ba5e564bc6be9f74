package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"cpulb/daemon/task"
)

// ErrNotEnded is returned by Result when the task had not ended in time.
var ErrNotEnded = errors.New("the task has not ended yet")

// errNoTask is returned for a nil task.
var errNoTask = fmt.Errorf("%w: it is nil", task.ErrInvalid)

// NewTask returns a task with an id of its own that calls main of the script with params,
// which is anything that encoding/json takes. What else it is to have is set in its fields.
func NewTask(script string, params any) (*task.Task, error) {
	path, err := filepath.Abs(script) // the daemon runs elsewhere
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	text, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	return &task.Task{ID: task.NewID(), ScriptPath: path, Function: task.DefaultFunction, Params: text, Type: task.CPUBound,
		Priority: task.DefaultPriority}, nil
}

// Run runs t, which needs an ID, and returns its Result. When ctx ends first the task goes
// on; Cancel stops it.
func (c *Client) Run(ctx context.Context, t *task.Task) (*task.Result, error) {
	s := &sending{client: c, task: t}
	return s.run(ctx, c.passes, nil)
}

// Submit hands t, which needs an ID, to the daemon and returns once it has been accepted.
func (c *Client) Submit(ctx context.Context, t *task.Task) (v task.View, err error) {
	body, err := appendTask(nil, t)
	if err != nil {
		return v, err
	}
	sent := false
	err = c.persist(ctx, func() error {
		if sent && once(t) {
			err := c.ask(ctx, http.MethodGet, "/v1/tasks/"+t.ID.String(), nil, &v)
			return lost(err)
		}
		var err error
		if once(t) {
			err = c.callOnce(ctx, http.MethodPost, "/v1/tasks", body, &v)
		} else {
			err = c.post(ctx, "/v1/tasks", body, &v)
		}
		sent = err == nil || !refused(err) && !errors.Is(err, ErrNoDaemon)
		return err
	})
	return v, err
}

// Task returns the task as it stands.
func (c *Client) Task(ctx context.Context, id task.ID) (v task.View, err error) {
	err = c.persist(ctx, func() error { return c.ask(ctx, http.MethodGet, "/v1/tasks/"+id.String(), nil, &v) })
	return v, err
}

// Cancel asks for a task to stop; Result waits for its end.
func (c *Client) Cancel(ctx context.Context, id task.ID) (v task.View, err error) {
	err = c.persist(ctx, func() error { return c.ask(ctx, http.MethodDelete, "/v1/tasks/"+id.String(), nil, &v) })
	return v, err
}

// longWait is the longest single wait for a Result; the daemon bounds it, too. backWait is that
// of the first one after a daemon was lost: its answer shows that the next one is there.
const longWait, backWait = time.Hour, time.Second

// Wait waits for the task's end, however long that takes.
func (c *Client) Wait(ctx context.Context, id task.ID) (*task.Result, error) {
	for {
		r, err := c.Result(ctx, id, longWait)
		if !errors.Is(err, ErrNotEnded) {
			return r, err
		}
	}
}

// Result waits for the task's end, at most timeout, of any length. It fails with ErrNotEnded
// when that was too short.
func (c *Client) Result(ctx context.Context, id task.ID, timeout time.Duration) (r *task.Result, err error) {
	began, longest := time.Now(), longWait
	err = c.retry(ctx, c.stops, func() error {
		for {
			left := max(0, timeout-time.Since(began))
			part := min(left, longest)
			err := c.promptly(ctx, part, func(ctx context.Context) error {
				return c.whileAlive(ctx, func(answers int) bool { return answers > 0 }, func(ctx context.Context) (err error) {
					r, err = c.result(ctx, "/v1/tasks/"+id.String()+"/result?timeout="+url.QueryEscape(part.String()))
					return err
				})
			})
			if part == left || !errors.Is(err, ErrNotEnded) {
				longest = backWait
				return err
			}
			longest = longWait
		}
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// result makes a call that is answered with a Result, or with 202 and a view.
func (c *Client) result(ctx context.Context, path string) (*task.Result, error) {
	status, text, err := c.exchange(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	var answers task.Answers
	r, err := answers.Result(text) // a view has a status, too
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if status == http.StatusAccepted {
		return nil, fmt.Errorf("%w: it is %s", ErrNotEnded, r.Status)
	}
	return r, nil
}

// appendTask appends t as one line of JSON. Params keep their text, except for white
// space: a task must be the same text whichever way it is sent.
func appendTask(b []byte, t *task.Task) ([]byte, error) {
	if t == nil {
		return nil, errNoTask
	}
	if len(t.Params) == 0 || !bytes.ContainsAny(t.Params, task.WhiteSpace) && task.IsJSON(t.Params) {
		return t.AppendJSON(b), nil
	}
	var params bytes.Buffer
	params.Grow(len(t.Params))
	if err := json.Compact(&params, t.Params); err != nil {
		return nil, fmt.Errorf("task: params: %w", err)
	}
	one := *t
	one.Params = params.Bytes()
	return one.AppendJSON(b), nil
}
