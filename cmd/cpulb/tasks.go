package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// taskFlags describe a task; run and submit share them.
type taskFlags struct {
	Script   string            `arg:"" help:"Python script with a function main(params, context)."`
	Params   string            `help:"What main gets: JSON text, @FILE, or - for stdin." default:"{}" placeholder:"JSON|@FILE|-"`
	Type     string            `help:"cpu for work that computes, io for work that waits." enum:"cpu,io" default:"cpu"`
	Pool     string            `help:"Pool to run in; the daemon chooses by type if none is named." placeholder:"NAME"`
	Function string            `help:"Function to call." default:"main" placeholder:"NAME"`
	Timeout  time.Duration     `help:"How long the script may run, e.g. 30s; without it, as long as it likes." placeholder:"DURATION"`
	Label    map[string]string `help:"Label of the task." placeholder:"KEY=VALUE"`
}

func (f *taskFlags) task(in io.Reader) (*task.Task, error) {
	path, err := filepath.Abs(f.Script)
	if err != nil {
		return nil, err
	}
	params, err := f.params(in)
	if err != nil {
		return nil, err
	}
	t := &task.Task{ID: task.NewID(), ScriptPath: path, Function: f.Function, Params: params, Type: task.CPUBound, Pool: f.Pool,
		Priority: task.DefaultPriority, Timeout: task.Duration(f.Timeout), Labels: f.Label}
	if f.Type == "io" {
		t.Type = task.IOBound
	}
	return t, t.Validate()
}

func (f *taskFlags) params(in io.Reader) (json.RawMessage, error) {
	text, from := []byte(f.Params), "--params"
	var err error
	switch name, isFile := strings.CutPrefix(f.Params, "@"); {
	case f.Params == "-":
		from = "stdin"
		text, err = io.ReadAll(in)
	case isFile:
		from = name
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
		return nil, fmt.Errorf("params: %s is not JSON: %w", from, err)
	}
	return text, nil
}

type runCommand struct {
	taskFlags `embed:""`
}

// Run implements the command. An interrupt cancels the task.
func (r *runCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	x, err := r.task(t.in)
	if err != nil {
		return err
	}
	if _, err := c.Submit(ctx, x); err != nil {
		return err
	}
	for {
		result, err := c.Result(ctx, x.ID, time.Hour)
		switch {
		case errors.Is(err, client.ErrNotEnded):
		case ctx.Err() != nil:
			_, err := c.Cancel(context.WithoutCancel(ctx), x.ID)
			return errors.Join(fmt.Errorf("interrupted; task %s is being cancelled", x.ID), err)
		case err != nil:
			return err
		default:
			return show(result, t)
		}
	}
}

type submitCommand struct {
	taskFlags `embed:""`
}

// Run implements the command.
func (s *submitCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	x, err := s.task(t.in)
	if err != nil {
		return err
	}
	if _, err := c.Submit(ctx, x); err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, x.ID)
	return err
}

type resultCommand struct {
	ID      string        `arg:"" help:"Id of the task."`
	Timeout time.Duration `help:"How long to wait for the task's end." default:"0s"`
}

// Run implements the command.
func (r *resultCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	id, err := task.ParseID(r.ID)
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
	return show(result, t)
}

type cancelCommand struct {
	ID string `arg:"" help:"Id of the task."`
}

// Run implements the command.
func (r *cancelCommand) Run(ctx context.Context, c *client.Client, _ *terminal) error {
	id, err := task.ParseID(r.ID)
	if err != nil {
		return err
	}
	_, err = c.Cancel(ctx, id)
	return err
}

// show prints a result: the data on stdout, all else on stderr.
func show(r *task.Result, t *terminal) error {
	fmt.Fprint(t.err, r.Stdout, r.Stderr)
	if r.Truncated {
		fmt.Fprintln(t.err, "cpulb: the script printed more than is kept")
	}
	if r.Status == task.Completed {
		_, err := fmt.Fprintln(t.out, string(r.Data))
		return err
	}
	fmt.Fprintf(t.err, "cpulb: the task %s\n", strings.ReplaceAll(r.Status.String(), "_", " "))
	if e := r.Error; e != nil {
		if e.Traceback != "" {
			fmt.Fprintln(t.err, strings.TrimRight(e.Traceback, "\n"))
		}
		fmt.Fprintf(t.err, "%s: %s [%s]\n", e.Type, e.Message, e.Code)
	}
	return exit(exitFailed)
}
