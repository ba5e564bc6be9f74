package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

type executorsCommand struct {
	List     executorsListCommand     `cmd:"" default:"withargs" help:"List the executors."`
	Swap     executorsSwapCommand     `cmd:"" help:"Have an executor's workers run another program, while tasks go on. If it does not pass, the old one keeps all tasks, and the exit code is 1. For administrators."`
	Rollback executorsRollbackCommand `cmd:"" help:"Have them run the program before again, or end a swap that is under way. For administrators."`
	Test     executorsTestCommand     `cmd:"" passthrough:"" help:"Test the program of an executor against the contract, without a daemon. What follows is for the test; --help lists it."`
}

type executorsListCommand struct {
	JSON bool `help:"Print one executor per line, as JSON."`
}

// Run implements the command.
func (e *executorsListCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	all, err := c.Executors(ctx)
	switch {
	case err != nil:
		return err
	case e.JSON:
		return printAll(t.data(), all)
	}
	w := table(t.out)
	fmt.Fprintln(w, "EXECUTOR\tCOMMAND\tRUNTIME\tPOOLS\tSHA256\tSWAP")
	for _, v := range all {
		row(w, v.Name, v.Command, v.Runtime, strings.Join(v.Pools, " "), v.SHA256, swapLine(v.Swap))
	}
	return w.Flush()
}

// swapLine describes a swap in one line; nil is "-".
func swapLine(s *api.SwapStatus) string {
	if s == nil {
		return "-"
	}
	text := string(s.State)
	switch c := s.Canary; {
	case s.State == api.SwapWentBack:
		return "went back to " + s.BeforeCommand + ": " + s.Why
	case s.State == api.SwapIncomplete:
		text += ": " + s.Why
	case s.State == api.SwapDone:
		text += ", before it " + s.BeforeCommand
		if !s.Persists {
			text += ", until the daemon ends"
		}
	case s.State == api.SwapCanary && c != nil:
		left := time.Duration(c.SecondsLeft * float64(time.Second)).Round(time.Second)
		text += fmt.Sprintf(" of %g%% for %s more: %d tasks, %d failed; %d in other workers", 100*c.Share, left, c.Tasks, c.Failed, c.Others)
	}
	return text + canaryLine(s)
}

// canaryLine says how many tasks the new program has had when its time is over.
func canaryLine(s *api.SwapStatus) string {
	if s.Canary == nil || s.State == api.SwapCanary {
		return ""
	}
	return fmt.Sprintf(", after %d tasks as a canary, %d of which failed", s.Canary.Tasks, s.Canary.Failed)
}

type executorsSwapCommand struct {
	Name          string         `arg:"" help:"The executor."`
	Command       string         `required:"" help:"The new program: a file name, which is looked up as in the configuration, or an absolute path." placeholder:"PATH"`
	SHA256        string         `name:"sha256" help:"What the program's file must have, as sha256sum prints it." placeholder:"HEX"`
	Canary        string         `help:"Which share of the tasks it gets at first, at most 50%. 0%: all, once it has passed the checks. Default: as configured." placeholder:"10%"`
	For           *time.Duration `help:"How long it gets that share. Default: as configured, or 1m." placeholder:"1m"`
	NoProbe       bool           `help:"Run no probe, not even the configured one." xor:"probe"`
	ProbeScript   string         `help:"A script that the new program must run before it gets any task. Default: as configured." placeholder:"/PATH.py" xor:"probe"`
	ProbeParams   string         `help:"The script's params, as JSON." placeholder:"JSON"`
	ProbeFunction string         `help:"The function to call." placeholder:"main"`
	ProbeTimeout  time.Duration  `help:"How long it may take. Default: 10s." placeholder:"10s"`
	Detach        bool           `help:"Do not wait for the end."`
}

// Run implements the command.
func (e *executorsSwapCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	req := api.SwapRequest{Command: e.Command, SHA256: e.SHA256, Canary: e.Canary}
	if e.For != nil {
		d := task.Duration(*e.For)
		req.For = &d
	}
	var err error
	if req.Probe, err = e.probe(); err != nil {
		return err
	}
	status, err := c.Swap(ctx, e.Name, req, 0)
	if errors.Is(err, api.ErrSwapInvalid) {
		return usageError{err}
	}
	return follow(ctx, c, t, status, err, e.Detach, api.SwapDone)
}

// probe returns the probe that the flags describe; nil: none do.
func (e *executorsSwapCommand) probe() (json.RawMessage, error) {
	fields := map[string]any{}
	if e.ProbeParams != "" {
		if !json.Valid([]byte(e.ProbeParams)) {
			return nil, usageError{errors.New("--probe-params is not JSON")}
		}
		fields["params"] = json.RawMessage(e.ProbeParams)
	}
	if e.ProbeFunction != "" {
		fields["function"] = e.ProbeFunction
	}
	if e.ProbeTimeout != 0 {
		fields["timeout"] = e.ProbeTimeout.String()
	}
	switch {
	case e.ProbeScript != "":
		fields["script_path"] = e.ProbeScript
	case len(fields) > 0:
		return nil, usageError{errors.New("--probe-params, --probe-function and --probe-timeout need --probe-script")}
	case e.NoProbe:
		return json.RawMessage("null"), nil
	default:
		return nil, nil
	}
	return json.Marshal(fields)
}

type executorsRollbackCommand struct {
	Name   string `arg:"" help:"The executor."`
	Detach bool   `help:"Do not wait for the end."`
}

// Run implements the command.
func (e *executorsRollbackCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	status, err := c.Rollback(ctx, e.Name, 0)
	wanted := api.SwapDone
	if s := status.Swap; s != nil && s.By != "rollback" { // it was under way
		wanted = api.SwapWentBack
	}
	return follow(ctx, c, t, status, err, e.Detach, wanted)
}

// followInterval is how often it is looked at how far a swap has come.
const followInterval = time.Second / 2

// follow prints how far a swap has come, one line for each state, until it has ended, as is
// wanted or not. An interrupt leaves the swap as it is.
func follow(ctx context.Context, c *client.Client, t *terminal, status api.ExecutorStatus, err error, detach bool, wanted api.SwapState) error {
	if err != nil {
		return err
	}
	var last api.SwapState
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		s := status.Swap
		if s == nil {
			return errors.New("the daemon has been restarted meanwhile")
		}
		if s.State != last || detach {
			last = s.State
			fmt.Fprintln(t.err, swapLine(s))
		}
		switch {
		case s.State.Ended() && s.State != wanted:
			return exit(exitFailed)
		case s.State.Ended():
			fmt.Fprintln(t.err, s.Persistence)
			return nil
		case detach:
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the swap goes on: %w", context.Cause(ctx))
		}
		if status, err = executorNamed(ctx, c, status.Name); err != nil {
			return err
		}
	}
}

func executorNamed(ctx context.Context, c *client.Client, name string) (api.ExecutorStatus, error) {
	all, err := c.Executors(ctx)
	if err != nil {
		return api.ExecutorStatus{}, err
	}
	for _, x := range all {
		if x.Name == name {
			return x, nil
		}
	}
	return api.ExecutorStatus{}, fmt.Errorf("executor %s is not configured any more", name)
}
