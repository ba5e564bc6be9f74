package daemon

import (
	"fmt"

	"cpulb/daemon/access"
	"cpulb/daemon/fleet"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Executors differ in what a task may have beside its script and params. Who gives a task
// env or cwd relies on it, so a task is refused, or fails, where it would be ignored.

// notSupported is the code of a task that has what its executor does not take.
const notSupported = "not_supported"

// takesLocked returns why the pool does not take t, and names the pools that do and that the
// caller may use.
func (e *Engine) takesLocked(who access.Identity, p *fleet.Pool, t *task.Task) error {
	field := p.Lacks(t)
	if field == "" {
		return nil
	}
	err := &task.FieldError{Field: field, Code: notSupported, Problem: untaken(p.Name(), p.Config().Executor)}
	for _, other := range e.fleet.PoolsLocked() {
		if other.Lacks(t) == "" && e.rules.Load().MayUse(who, other.Name()) {
			err.Allowed = append(err.Allowed, "pool "+other.Name())
		}
	}
	return err
}

func untaken(pool, executor string) string {
	return fmt.Sprintf("the executor %s of pool %s does not take it, as it is configured: leave it out, or choose another pool", executor, pool)
}

// unsupported is how a task ends that was admitted, and would now run where one of its fields
// is not taken; nil: it runs.
func unsupported(t *task.Task, pl *fleet.Place) *plugins.Outcome {
	field := pl.Lacks(t)
	if field == "" {
		return nil
	}
	where := pl.Where()
	o := failure("NotSupported", notSupported, field+": "+untaken(where.Pool, where.Executor))
	return &o
}
