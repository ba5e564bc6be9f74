package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// check is a task of the operator's choice that a new worker must complete before it gets any
// other. Its slot has it, and no owner knows of it.
type check struct {
	seq    uint64
	answer chan plugins.Outcome // has room for the only one
}

// errUnchecked is how a check ends that the worker gives back.
var errUnchecked = errors.New("the worker gave the probe task back")

// Check has each worker that was proven, of the pools with this executor, complete a task.
// of makes that of a pool.
func (r *Rollout) Check(ctx context.Context, executor string, of func(p *config.Pool) (*plugins.Task, error)) error {
	for _, c := range r.changes {
		if c.proven == nil || c.layout.config.Executor != executor {
			continue
		}
		t, err := of(&c.layout.config)
		if err == nil {
			err = (checker{c.proven}).check(ctx, t)
		}
		if err != nil {
			return fmt.Errorf("worker %s: the probe task: %w", c.proven.spec.ID, err)
		}
	}
	return nil
}

// checker is a worker that has no task and is in no seat, for who has it complete one. It runs
// without the lock.
type checker struct{ *Worker }

func (w checker) check(ctx context.Context, t *plugins.Task) error {
	f, s := w.pool.fleet, w.slots[0]
	answer := make(chan plugins.Outcome, 1)
	patience := leastPatience
	f.do(func(fx *effects.List) {
		s.seq++
		s.probed = s.seq
		s.checking = &check{s.seq, answer}
		t.Slot, t.Seq = s.index, s.seq
		patience += f.Limits.CancelGrace
		fx.Frame(s, t)
	})
	defer f.do(func(*effects.List) { s.checking = nil })
	late := time.NewTimer(task.Sum(t.Timeout, patience))
	defer late.Stop()
	select {
	case o := <-answer:
		return failureOf(o)
	case <-w.process.Done():
		return fmt.Errorf("the worker ended: %s", w.process.Exit())
	case <-late.C:
		return fmt.Errorf("it did not end within its timeout of %s", t.Timeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isChecked reports whether an event is of the check, and notes its end.
func (s *Slot) isChecked(ev *plugins.Event) bool {
	c := s.checking
	if c == nil || c.seq != ev.Seq {
		return false
	}
	o := ev.Outcome
	switch ev.Kind {
	case plugins.EventSkipped:
		o = plugins.Outcome{Status: task.Failed, Error: &task.Error{Type: "ExecutorError", Message: errUnchecked.Error()}}
	case plugins.EventEnded:
	default:
		return true
	}
	select {
	case c.answer <- o:
	default: // it has ended before
	}
	return true
}

// failureOf returns why an attempt is not what a sound worker makes of a task that completes.
func failureOf(o plugins.Outcome) error {
	switch {
	case o.Spent:
		return errors.New("the worker says that it can run nothing more")
	case o.Status == task.Completed:
		return nil
	case o.Error == nil:
		return fmt.Errorf("it has %s", o.Status)
	}
	return fmt.Errorf("it has %s: %s: %s", o.Status, o.Error.Type, task.Clip(o.Error.Message, mostWords))
}

// mostWords bounds what of a script's words is kept to say why a program did not pass.
const mostWords = 500
