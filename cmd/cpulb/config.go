package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"cpulb/daemon/api"
	"cpulb/ipc/client"
)

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Check a configuration as the daemon does. Each mistake is named with its file and line; the exit code is then 1."`
	Show  configShowCommand  `cmd:"" help:"Print what holds in the daemon on the socket, or by a file: each key with its value, those that the file leaves out included."`
}

// configFlags say which configuration, as the daemon's own flags do.
type configFlags struct {
	File       string `arg:"" optional:"" help:"The file. Default: that of the daemon on the socket, else /etc/cpulb/config.hcl if it exists, else the built-in default."`
	WorkerUser string `help:"The user of pools that name none, as of the daemon's flag -worker-user." placeholder:"USER"`
}

// arguments are those of cpulbd. Without a file it is asked which one the daemon on the socket
// was started with.
func (c *configFlags) arguments(ctx context.Context, daemon *client.Client) ([]string, error) {
	file, user, socket := c.File, c.WorkerUser, ""
	var err error
	if file != "" {
		file, err = filepath.Abs(file)
	} else if pid, hangs := pidOf(ctx, daemon); hangs != nil {
		return nil, hangs
	} else if pid != 0 {
		user = cmp.Or(user, flagOf(pid, "worker-user"))
		var bad error
		file, err = fileOf(pid, "config")
		socket, bad = fileOf(pid, "socket")
		err = cmp.Or(err, bad)
	}
	var args []string
	for _, given := range [][2]string{{"config", file}, {"socket", socket}, {"worker-user", user}} {
		if given[1] != "" {
			args = append(args, "-"+given[0]+"="+given[1])
		}
	}
	return args, err
}

// pidOf returns the process of the daemon on the socket; 0: there is none. An error: there is
// one, which does not answer.
func pidOf(ctx context.Context, daemon *client.Client) (pid int, err error) {
	raw, err := daemon.Status(ctx)
	var st status
	switch {
	case errors.Is(err, client.ErrNoAnswer):
		return 0, fmt.Errorf("%w; name the file", err)
	case err != nil || json.Unmarshal(raw, &st) != nil:
		return 0, nil
	}
	return st.Engine.PID, nil
}

type configCheckCommand struct {
	configFlags `embed:""`
	JSON        bool `help:"Print the outcome as JSON: ok, source, errors, warnings and memory_bytes."`
}

// Run implements the command.
func (c *configCheckCommand) Run(ctx context.Context, daemon *client.Client, t *terminal) error {
	args, err := c.arguments(ctx, daemon)
	if err != nil {
		return err
	}
	text, err := c.ask(ctx, append([]string{"-check-config", "-json"}, args...))
	if err != nil {
		return err
	}
	var v api.Verdict
	err = json.Unmarshal(text, &v)
	switch {
	case err != nil:
		return fmt.Errorf("cpulbd's answer: %w", err)
	case c.JSON:
		_, err = t.data().Write(text)
	case v.OK:
		fmt.Fprintln(t.out, "OK:", v.Source)
		fmt.Fprintf(t.out, "memory: the daemon takes %d MiB at the most, its workers not counted\n", (v.MemoryBytes+1<<20-1)>>20)
		for _, w := range v.Warnings {
			fmt.Fprintln(t.out, "warning:", w)
		}
	}
	if err == nil && !v.OK {
		if !c.JSON {
			for _, m := range v.Errors {
				fmt.Fprintln(t.err, "cpulb:", m)
			}
		}
		return exit(exitFailed)
	}
	return err
}

// exitBadConfig is cpulbd's for a configuration that is wrong.
const exitBadConfig = 78

// ask has cpulbd answer, which knows what a configuration may say: this program is not to link
// all that a daemon is made of.
func (c *configFlags) ask(ctx context.Context, args []string) ([]byte, error) {
	program, err := findProgram("cpulbd")
	if err != nil {
		return nil, fmt.Errorf("%w: it is cpulbd that knows what a configuration may say", err)
	}
	text, err := exec.CommandContext(ctx, program, args...).Output()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && ended.ExitCode() == exitBadConfig && len(text) > 0:
		return text, nil // the answer says what is wrong
	case errors.As(err, &ended) && len(ended.Stderr) > 0:
		return nil, errors.New(strings.TrimSpace(string(ended.Stderr)))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return text, nil
}

type configShowCommand struct {
	configFlags `embed:""`
	JSON        bool `help:"Print it as JSON."`
}

// Run implements the command.
func (c *configShowCommand) Run(ctx context.Context, daemon *client.Client, t *terminal) error {
	text, err := c.text(ctx, daemon, t)
	if err == nil {
		_, err = t.data().Write(text)
	}
	return err
}

// text is what the daemon on the socket says that holds in it, unless a file is named; where
// there is none, or the caller may not see it, what cpulbd makes of the file.
func (c *configShowCommand) text(ctx context.Context, daemon *client.Client, t *terminal) ([]byte, error) {
	if c.configFlags == (configFlags{}) {
		holds, err := daemon.Configuration(ctx)
		switch {
		case err == nil && c.JSON:
			return append(holds.Blocks, '\n'), nil
		case err == nil:
			return []byte(holds.Text), nil
		case errors.Is(err, client.ErrNoAnswer):
			return nil, fmt.Errorf("%w; name the file to see what it says", err)
		case !errors.Is(err, client.ErrNoDaemon):
			fmt.Fprintf(t.err, "cpulb: the daemon does not show its configuration, this is what its file says now: %v\n", err)
		}
	}
	args, err := c.arguments(ctx, daemon)
	if err != nil {
		return nil, err
	}
	if c.JSON {
		args = append(args, "-json")
	}
	return c.ask(ctx, append([]string{"-show-config"}, args...))
}
