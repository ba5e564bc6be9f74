package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// ErrLost is returned for a task that must not run twice, when the daemon that it was sent to
// has gone and the next one does not know it: it may have run.
var ErrLost = errors.New("the daemon does not know the task any more, which may have run")

// The pauses between two tries while a daemon is away.
const minAway, maxAway = 5 * time.Millisecond, 500 * time.Millisecond

// persist calls f until it succeeds, or fails in another way than by a daemon that has gone
// away or is about to, or that has been away for as long as c is patient: each time anew, if
// it was back meanwhile and stayed. f says by its error how it went; what it does must be safe
// to do again.
func (c *Client) persist(ctx context.Context, f func() error) error {
	return c.retry(ctx, c.passes, f)
}

// retry is persist for those errors that passing reports.
func (c *Client) retry(ctx context.Context, passing func(error) bool, f func() error) error {
	away := outage{presence: c.presence}
	call := &waiter{all: c.waits}
	defer call.end()
	for pause := minAway; ; pause = min(2*pause, maxAway) {
		err := f()
		if err == nil {
			c.answered.Store(true)
			return nil
		}
		if !passing(err) {
			return because(ctx, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w; until then: %w", ended(ctx), err)
		}
		if away.lasts() >= c.patience {
			return err
		}
		call.begin(err)
		select {
		case <-time.After(pause):
			call.end() // f may get through, and take long
		case <-ctx.Done():
			return fmt.Errorf("%w; until then: %w", ended(ctx), err)
		}
	}
}

// passes reports whether err may be over soon: the daemon is restarted.
func (c *Client) passes(err error) bool {
	return c.reached.Load() && gone(err) || c.answered.Load() && errors.Is(err, api.ErrDraining)
}

// stops is passes for who waits for a task to end, whom no daemon refuses but one that stops.
func (c *Client) stops(err error) bool { return c.passes(err) || errors.Is(err, api.ErrDraining) }

// gone reports whether err says that the daemon has gone, or that the connection to it has.
func gone(err error) bool {
	for _, end := range []error{ErrNoDaemon, ErrStreamEnded, ErrCutOff, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// refused reports whether err is the daemon's answer: what was asked for was not done.
func refused(err error) bool {
	var p *api.Problem
	return errors.As(err, &p)
}

// once reports whether t must not run twice, so that it is not sent again when nobody can
// say whether it was accepted.
func once(t *task.Task) bool { return t.Extras().OnWorkerLost == task.Fail }

// lost is the error for a task that must not run twice, of which err is all that is known.
func lost(err error) error {
	if errors.Is(err, task.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}
