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

	"cpulb/daemon/api"
)

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
