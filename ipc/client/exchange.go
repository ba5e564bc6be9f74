package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// call makes one request with a JSON body, or none, and decodes the answer. The request can
// be made again without harm, which net/http does by itself where a connection that it has
// kept turns out to be dead.
func (c *Client) call(ctx context.Context, method, path string, body []byte, answer any) error {
	_, text, err := c.exchange(ctx, method, path, body)
	return decoded(text, err, answer)
}

// ask is call for what is answered at once.
func (c *Client) ask(ctx context.Context, method, path string, body []byte, answer any) error {
	return c.promptly(ctx, 0, func(ctx context.Context) error { return c.call(ctx, method, path, body, answer) })
}

// promptly bounds f, whose answer is due after wait.
func (c *Client) promptly(ctx context.Context, wait time.Duration, f func(context.Context) error) error {
	if c.prompt == 0 {
		return f(ctx)
	}
	within, cancel := context.WithTimeoutCause(ctx, task.Sum(wait, c.prompt), ErrNoAnswer)
	defer cancel()
	return c.late(f(within))
}

// begun bounds f, with which an answer begins that may go on for long: cancel ends it.
func (c *Client) begun(cancel context.CancelCauseFunc, f func() error) error {
	if c.prompt == 0 {
		return f()
	}
	timer := time.AfterFunc(c.prompt, func() { cancel(ErrNoAnswer) })
	defer timer.Stop()
	return c.late(f())
}

// late returns err, or if it is of a context of promptly or begun, which the caller does not
// know, what that means.
func (c *Client) late(err error) error {
	if errors.Is(err, ErrNoAnswer) {
		return fmt.Errorf("the daemon on %s hangs: %w in %s", c.socket, ErrNoAnswer, c.prompt)
	}
	return err
}

// callOnce is call for a request that is not to be made twice when nobody can say whether it
// was carried out.
func (c *Client) callOnce(ctx context.Context, method, path string, body []byte, answer any) error {
	return c.whileAlive(ctx, nil, func(ctx context.Context) error {
		_, text, err := c.exchangeBy(ctx, c.httpOnce, method, path, body)
		return decoded(text, err, answer)
	})
}

// post is call for what may wait for room, and can be made again.
func (c *Client) post(ctx context.Context, path string, body []byte, answer any) error {
	return c.whileAlive(ctx, nil, func(ctx context.Context) error { return c.call(ctx, http.MethodPost, path, body, answer) })
}

func decoded(text []byte, err error, answer any) error {
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
	return c.exchangeBy(ctx, c.http, method, path, body)
}

func (c *Client) exchangeBy(ctx context.Context, by *http.Client, method, path string, body []byte) (status int, text []byte, err error) {
	resp, err := request(ctx, by, method, path, body)
	if err != nil {
		return 0, nil, err
	}
	c.presence.heard()
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("answer: %w", because(ctx, err))
	}
	return resp.StatusCode, text, nil
}

// request returns an answer that is not a problem. The caller closes its body.
func request(ctx context.Context, by *http.Client, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://cpulb"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		// Not sent: tells net/http that a call on a connection that it has kept, and that turns
		// out to be dead, can be made again. httpOnce keeps none.
		req.Header["Idempotency-Key"] = nil
	}
	resp, err := by.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL has a made-up host, which would mislead
		}
		return nil, because(ctx, err)
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", because(ctx, err))
	}
	return nil, problemIn(resp, text)
}

func problemIn(resp *http.Response, text []byte) *api.Problem {
	p := &api.Problem{Status: resp.StatusCode, Detail: "the answer is " + resp.Status}
	_ = json.Unmarshal(text, p)                                                                // an answer that is not problem+json is reported by its status line
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil { // no date: the daemon sends none
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
