package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"cpulb/daemon/api"
	"cpulb/ipc/client"
)

type workersCommand struct {
	List    workersListCommand    `cmd:"" default:"withargs" help:"List the workers."`
	Restart workersRestartCommand `cmd:"" help:"Replace a worker. Its tasks finish, or run again in another worker. For administrators."`
}

type workersListCommand struct {
	JSON bool `help:"Print one worker per line, as JSON."`
}

// Run implements the command.
func (w *workersListCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	all, err := c.Workers(ctx)
	switch {
	case err != nil:
		return err
	case w.JSON:
		return printAll(t.data(), all)
	}
	return printWorkers(t.out, all)
}

func printAll[T any](out io.Writer, all []T) error {
	for _, v := range all {
		if err := printJSON(out, v); err != nil {
			return err
		}
	}
	return nil
}

func printWorkers(out io.Writer, workers []api.WorkerStatus) error {
	w := table(out)
	fmt.Fprintln(w, "WORKER\tPID\tSTATE\tCORE\tCPUS ALLOWED\tBUSY/SLOTS\tDONE\tRESTARTS\tUPTIME\tRSS\tRUNTIME")
	for _, v := range workers {
		core := "-" // not pinned
		if v.Core >= 0 {
			core = strconv.Itoa(v.Core)
		}
		uptime := time.Duration(v.UptimeSeconds * float64(time.Second)).Round(time.Second)
		row(w, v.ID, v.PID, v.State, core, v.CPUsAllowed, fmt.Sprintf("%d/%d", v.SlotsBusy, v.Slots), v.TasksDone, v.Restarts, uptime,
			fmt.Sprintf("%.1f MiB", float64(v.RSSBytes)/(1<<20)), v.Runtime)
	}
	return w.Flush()
}

type workersRestartCommand struct {
	Worker string `arg:"" help:"The worker's id, e.g. cpu-0."`
}

// Run implements the command.
func (w *workersRestartCommand) Run(ctx context.Context, c *client.Client) error {
	return c.RestartWorker(ctx, w.Worker)
}

type schedulesCommand struct {
	List schedulesListCommand `cmd:"" default:"withargs" help:"List the schedules."`
}

type schedulesListCommand struct {
	JSON bool `help:"Print one schedule per line, as JSON."`
}

// Run implements the command.
func (s *schedulesListCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	all, err := c.Schedules(ctx)
	switch {
	case err != nil:
		return err
	case s.JSON:
		return printAll(t.data(), all)
	}
	w := table(t.out)
	fmt.Fprintln(w, "SCHEDULE\tCRON\tTIME ZONE\tNEXT\tLAST\tLAST TASK\tSKIPPED\tMISSED\tREFUSED")
	for _, v := range all {
		last := "-"
		if v.LastTask != nil {
			last = v.LastTask.String()
		}
		refused := moment(v.RefusedAt)
		if v.RefusedAt != nil {
			refused += ": " + v.RefusedReason
		}
		row(w, v.Name, v.Cron, v.TimeZone, moment(v.Next), moment(v.Last), last, v.Skipped, v.Missed, refused)
	}
	return w.Flush()
}

// moment formats a time; nil is "-".
func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

type drainCommand struct{}

// Run implements the command.
func (*drainCommand) Run(ctx context.Context, c *client.Client) error { return c.Drain(ctx) }

type resumeCommand struct{}

// Run implements the command.
func (*resumeCommand) Run(ctx context.Context, c *client.Client) error { return c.Resume(ctx) }

type reloadCommand struct{}

// Run implements the command.
func (*reloadCommand) Run(ctx context.Context, c *client.Client) error { return c.Reload(ctx) }
