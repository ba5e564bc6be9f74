package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

const (
	// waitGrace is how long run waits beyond the task's timeout, for its turn and for
	// a script that is slow to stop.
	waitGrace = 10 * time.Second
	// cancelTimeout bounds the call that cancels an abandoned task.
	cancelTimeout = 5 * time.Second
)

type runCommand struct {
	taskFlags  `embed:""`
	paramsFlag `embed:""`
	Follow     bool `short:"f" help:"Show what the task prints and logs, and its progress, on stderr as they come, and what a generator yields on stdout, one value per line."`
}

// Run implements the command.
func (r *runCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	params, err := r.params(t.in)
	if err != nil {
		return err
	}
	x, err := r.task(params)
	if err != nil {
		return err
	}
	inTrace(x)
	within, stop := ctx, context.CancelFunc(func() {})
	if x.Timeout > 0 {
		within, stop = context.WithTimeoutCause(ctx, task.Sum(time.Duration(x.Timeout), waitGrace), client.ErrNotEnded)
	}
	defer stop()
	var result *task.Result
	if r.Follow {
		result, err = t.follow(within, c, x)
	} else {
		result, err = c.Run(within, x)
	}
	switch {
	case err == nil && r.Function == plainFunction:
		return keptBy(showPlain(result, t), x.ID)
	case err == nil:
		return keptBy(show(result, t, true), x.ID)
	case ctx.Err() != nil:
		err = errors.New("interrupted")
		t.cancelling("task "+x.ID.String(), leftRunning(x.ID))
	case within.Err() != nil:
		err = context.Cause(within)
		t.cancelling("", leftRunning(x.ID))
	default:
		return keptBy(lost(err, x.ID), x.ID)
	}
	if bad := abandon(ctx, c, x.ID); bad != nil {
		return fmt.Errorf("%w, and the task could not be cancelled (%v): %s", err, bad, leftRunning(x.ID))
	}
	return fmt.Errorf("%w; task %s is being cancelled", err, x.ID)
}

// keptBy adds to err where the result is that could not be written.
func keptBy(err error, id task.ID) error {
	if errors.As(err, new(*unwritten)) {
		return fmt.Errorf("%w; cpulb result %s has the result", err, id)
	}
	return err
}

// leftRunning is what is said of a task that goes on.
func leftRunning(id task.ID) string {
	return fmt.Sprintf("task %s may go on; cpulb cancel %s cancels it, cpulb result %s has its result", id, id, id)
}

// lost adds to err, if the daemon went away before it answered, where the Result will be.
func lost(err error, id task.ID) error {
	if errors.Is(err, client.ErrNoAnswer) {
		return fmt.Errorf("%w; if it had accepted the task, cpulb result %s knows the end, and cpulb cancel %s cancels it", err, id, id)
	}
	for _, end := range []error{client.ErrStreamEnded, client.ErrCutOff, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return fmt.Errorf("the daemon went away before it answered (%w); if it had accepted the task, cpulb result %s knows the end", err, id)
		}
	}
	return err
}

// abandon cancels a task whose result is not awaited any more. A task that never
// reached the daemon is no error.
func abandon(ctx context.Context, c *client.Client, id task.ID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	_, err := c.Cancel(ctx, id)
	if errors.Is(err, task.ErrNotFound) {
		return nil
	}
	return err
}

type submitCommand struct {
	taskFlags  `embed:""`
	paramsFlag `embed:""`
}

// Run implements the command.
func (s *submitCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	params, err := s.params(t.in)
	if err != nil {
		return err
	}
	x, err := s.task(params)
	if err != nil {
		return err
	}
	inTrace(x)
	if _, err := c.Submit(ctx, x); err != nil {
		return lost(err, x.ID)
	}
	return t.printID(x.ID, "task %s has been submitted")
}

// printID prints the id of what the daemon has now, which done says where that fails.
func (t *terminal) printID(id task.ID, done string) error {
	if _, err := fmt.Fprintln(t.out, id); err != nil {
		return fmt.Errorf(done+", but %w", id, err)
	}
	return nil
}

type resultCommand struct {
	ID      string        `arg:"" help:"Id of the task."`
	Timeout time.Duration `help:"How long to wait for the task's end." default:"0s" placeholder:"DURATION"`
}

// Run implements the command.
func (r *resultCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	id, err := parseID(r.ID)
	if err != nil {
		return err
	}
	result, err := c.Result(ctx, id, r.Timeout)
	if errors.Is(err, client.ErrNotEnded) {
		fmt.Fprintln(t.err, "cpulb:", err)
		return exit(exitNotYet)
	}
	if err != nil {
		return err
	}
	return show(result, t, false)
}

type cancelCommand struct {
	IDs       []string `arg:"" optional:"" name:"id" help:"Ids of tasks."`
	selection `embed:""`
	All       bool `help:"All your tasks; for administrators, the tasks of all users."`
}

// Run implements the command.
func (r *cancelCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	f, err := r.filter()
	if err != nil {
		return err
	}
	several := len(f.Statuses)+len(f.Labels) > 0 || f.Batch != task.ID{}
	switch {
	case several && r.All, (several || r.All) == (len(r.IDs) > 0):
		return usageError{errors.New("select tasks: by their ids, by --status, --label and --batch, or --all")}
	case len(r.IDs) == 0:
		n, err := r.together(ctx, c, f)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(t.out, n)
		return err
	}
	ids := make([]task.ID, len(r.IDs))
	for i, text := range r.IDs {
		if ids[i], err = parseID(text); err != nil {
			return err
		}
	}
	for _, id := range ids { // one that is not there keeps no other from being cancelled
		if _, bad := c.Cancel(ctx, id); bad != nil {
			err = errors.Join(err, bad)
		}
	}
	return err
}

// together cancels what f selects, or all.
func (r *cancelCommand) together(ctx context.Context, c *client.Client, f api.Filter) (int, error) {
	if r.All {
		return c.CancelAll(ctx)
	}
	return c.CancelTasks(ctx, f)
}

type rerunCommand struct {
	ID string `arg:"" help:"Id of the task."`
}

// Run implements the command.
func (r *rerunCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	id, err := parseID(r.ID)
	if err != nil {
		return err
	}
	v, err := c.Rerun(ctx, id)
	if err != nil {
		return err
	}
	return t.printID(v.ID, "task %s has been submitted")
}
