// Package client is the Go client of cpulbd: one call at a time over HTTP
// (Client), or pipelined over one connection (Stream).
//
// Guarantees: a call that the daemon refuses fails with an *api.Problem with its
// stable code, and with ErrNoDaemon when nobody answers on the socket. Tasks carry
// their id from the start, so a call that failed on the way can be repeated without
// running a task twice. A Stream is not reconnected.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// DefaultSocket is where cpulbd listens by default.
const DefaultSocket = "/run/cpulb/cpulb.sock"

// ErrNotEnded is returned by Result when the task had not ended in time.
var ErrNotEnded = errors.New("the task has not ended yet")

// ErrNoDaemon is matched when nobody answers on the socket.
var ErrNoDaemon = errors.New("no daemon answers")

// Client calls one daemon. It is safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
}

// New returns a Client of the daemon on socket; it connects when first used.
func New(socket string) *Client {
	c := &Client{socket: socket}
	c.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := c.dial(ctx)
		if err != nil {
			return nil, err // not a nil *net.UnixConn in an interface
		}
		return conn, nil
	}}}
	return c
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// The pauses between two tries to connect while too many others do.
const minPause, maxPause = time.Millisecond, 50 * time.Millisecond

func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	// Where a socket that blocks would wait for its turn, one of Go's fails: so many have
	// connected whom the daemon has not accepted yet.
	for pause := minPause; errors.Is(err, syscall.EAGAIN); pause = min(2*pause, maxPause) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w on %s: is cpulbd running?", ErrNoDaemon, c.socket)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s may not be used by this user: is it in the socket's group? %w", c.socket, err)
	}
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// Submit hands t to the daemon and returns once it has been accepted. t needs an
// ID (task.NewID).
func (c *Client) Submit(ctx context.Context, t *task.Task) (task.View, error) {
	var v task.View
	body, err := appendTask(nil, t)
	if err != nil {
		return v, err
	}
	err = c.call(ctx, http.MethodPost, "/v1/tasks", body, &v)
	return v, err
}

// appendTask appends t as one line of JSON. Params keep their text, except for white
// space: a task must be the same text whichever way it is sent.
func appendTask(b []byte, t *task.Task) ([]byte, error) {
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

// Task returns the task as it stands.
func (c *Client) Task(ctx context.Context, id task.ID) (task.View, error) {
	var v task.View
	err := c.call(ctx, http.MethodGet, "/v1/tasks/"+id.String(), nil, &v)
	return v, err
}

// Cancel asks for a task to stop; Result waits for its end.
func (c *Client) Cancel(ctx context.Context, id task.ID) (task.View, error) {
	var v task.View
	err := c.call(ctx, http.MethodDelete, "/v1/tasks/"+id.String(), nil, &v)
	return v, err
}

// Run hands t to the daemon and waits for its end, at most wait, in one call. It fails with
// ErrNotEnded when that was too short; Result then waits on. t needs an ID.
func (c *Client) Run(ctx context.Context, t *task.Task, wait time.Duration) (*task.Result, error) {
	body, err := appendTask(nil, t)
	if err != nil {
		return nil, err
	}
	return c.result(ctx, http.MethodPost, "/v1/tasks?wait="+url.QueryEscape(wait.String()), body)
}

// Result waits for the task's end, at most timeout, which may be up to 24 hours. It
// fails with ErrNotEnded when that was too short.
func (c *Client) Result(ctx context.Context, id task.ID, timeout time.Duration) (*task.Result, error) {
	return c.result(ctx, http.MethodGet, "/v1/tasks/"+id.String()+"/result?timeout="+url.QueryEscape(timeout.String()), nil)
}

// result makes a call that is answered with a Result, or with 202 and a view.
func (c *Client) result(ctx context.Context, method, path string, body []byte) (*task.Result, error) {
	status, text, err := c.exchange(ctx, method, path, body)
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

// call makes one request with a JSON body, or none, and decodes the answer.
func (c *Client) call(ctx context.Context, method, path string, body []byte, answer any) error {
	_, text, err := c.exchange(ctx, method, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// exchange makes one request and reads the answer, which is not a problem.
func (c *Client) exchange(ctx context.Context, method, path string, body []byte) (status int, text []byte, err error) {
	resp, err := c.request(ctx, method, path, body)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("answer: %w", err)
	}
	return resp.StatusCode, text, nil
}

// request returns an answer that is not a problem. The caller closes its body.
func (c *Client) request(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://cpulb"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		// Not sent: tells net/http that a call on a connection that turns out to be
		// dead can be made again, which the tasks' ids make safe.
		req.Header["Idempotency-Key"] = nil
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL has a made-up host, which would mislead
		}
		return nil, err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return nil, problemIn(resp, text)
}

func problemIn(resp *http.Response, text []byte) *api.Problem {
	p := &api.Problem{Status: resp.StatusCode, Detail: "the answer is " + resp.Status}
	_ = json.Unmarshal(text, p) // an answer that is not problem+json is reported by its status line
	return p
}
