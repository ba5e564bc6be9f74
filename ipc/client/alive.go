package client

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// alive knows whether the daemon answers anything, for calls whose own answer may rightly take
// long: a full queue may hold a submission back, a worker may be slow to start.
type alive struct {
	// each is how long a call has no answer before it is looked, and from look to look.
	each time.Duration

	mu   sync.Mutex
	last *look
}

// look is one question, which all calls share that ask at about the same time.
type look struct {
	began time.Time
	done  chan struct{}
	hangs bool // set before done is closed
}

// whileAlive bounds f by the daemon's life alone: ctx ends for f, which then fails with ErrNoAnswer,
// when the daemon answers nothing any more. over, if it is not nil, reports after a number of answers
// whether f waits without bound from then on, as for a task that runs.
func (c *Client) whileAlive(ctx context.Context, over func(answers int) bool, f func(context.Context) error) error {
	if c.prompt == 0 {
		return f(ctx)
	}
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(c.alive.each, func() {
		if c.hangs(within, over) {
			cancel(ErrNoAnswer)
		}
	})
	defer timer.Stop()
	return c.late(f(within))
}

// hangs looks again and again, until the daemon does not answer, or nobody wants to know any more.
func (c *Client) hangs(ctx context.Context, over func(answers int) bool) bool {
	for answers := 0; ctx.Err() == nil && (over == nil || !over(answers)); answers++ {
		l := c.alive.look(c)
		select {
		case <-l.done:
		case <-ctx.Done():
			return false
		}
		if l.hangs {
			return over == nil || !over(answers)
		}
		select {
		case <-time.After(c.alive.each):
		case <-ctx.Done():
		}
	}
	return false
}

// look returns the look that is under way, or was a short time ago, or begins one.
func (a *alive) look(c *Client) *look {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil || time.Since(a.last.began) >= a.each {
		a.last = &look{began: time.Now(), done: make(chan struct{})}
		go a.last.ask(c)
	}
	return a.last
}

// ask asks what any daemon answers at once. Where there is none, or it refuses, it does not hang:
// calls learn that by themselves.
func (l *look) ask(c *Client) {
	defer close(l.done)
	ctx, cancel := context.WithTimeoutCause(context.Background(), c.prompt/2, ErrNoAnswer)
	defer cancel()
	_, _, err := c.exchange(ctx, http.MethodGet, "/healthz", nil)
	l.hangs = errors.Is(err, ErrNoAnswer)
}
