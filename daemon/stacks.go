package daemon

import (
	"context"
	"errors"
	"fmt"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/plugins"
)

// Stacks tells what the threads of a worker are doing, as text for people. Errors:
// access.Denied, api.ErrNoWorker, api.ErrNoStacks.
func (e *Engine) Stacks(ctx context.Context, who access.Identity, worker string) (string, error) {
	if err := e.administer(who); err != nil {
		return "", err
	}
	e.mu.Lock()
	var found *seat
	for _, s := range e.seats() {
		if s.spec.ID == worker {
			found = s
		}
	}
	if found == nil || found.worker == nil {
		e.mu.Unlock()
		return "", fmt.Errorf("%w: %.64q", api.ErrNoWorker, worker)
	}
	process := found.worker.process
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, stacksTimeout)
	defer cancel()
	text, err := process.Stacks(ctx)
	if errors.Is(err, plugins.ErrNoStacks) {
		return "", fmt.Errorf("%w: worker %s: %w", api.ErrNoStacks, worker, err)
	}
	return text, err
}
