package ipctest

import (
	"context"
	"fmt"
)

// Refuse refuses all that is submitted from now on, with err; nil: no longer.
func (e *Engine) Refuse(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refusing = err
}

// Refused returns how many Refuse has refused.
func (e *Engine) Refused() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refused
}

// AwaitRefused returns once Refuse has refused n, or ctx is done.
func (e *Engine) AwaitRefused(ctx context.Context, n int) error {
	for {
		e.mu.Lock()
		have, changed := e.refused, e.changed
		e.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d were refused: %w", have, n, ctx.Err())
		}
	}
}
