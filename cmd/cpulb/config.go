package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
	given := map[string]string{"config": c.File, "worker-user": c.WorkerUser}
	if c.File == "" {
		for _, name := range []string{"config", "worker-user", "socket"} {
			given[name] = cmp.Or(given[name], startedWith(ctx, daemon, name))
		}
	}
	var args []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		if name == "config" && value != "" {
			path, err := filepath.Abs(value)
			if err != nil {
				return nil, err
			}
			value = path
		}
		if value != "" {
			args = append(args, "-"+name+"="+value)
		}
	}
	return args, nil
}

// startedWith returns the value of a flag of the daemon on the socket; "": it has none, or
// there is no daemon.
func startedWith(ctx context.Context, daemon *client.Client, flag string) string {
	raw, err := daemon.Status(ctx)
	var st status
	if err != nil || json.Unmarshal(raw, &st) != nil {
		return ""
	}
	return flagOf(st.Engine.PID, flag)
}

// verdict is what cpulbd -check-config -json prints.
type verdict struct {
	OK       bool            `json:"ok"`
	Source   string          `json:"source"`
	Errors   json.RawMessage `json:"errors"`
	Warnings []string        `json:"warnings"`
	Memory   int64           `json:"memory_bytes,omitempty"`
}

// mistake is one of its errors.
type mistake struct {
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
	Column  int      `json:"column,omitempty"`
	Problem string   `json:"problem"`
	Allowed []string `json:"allowed,omitempty"`
}

type configCheckCommand struct {
	configFlags `embed:""`
	JSON        bool `help:"Print the outcome as JSON: ok, source, errors, warnings and memory_bytes."`
}

// Run implements the command.
func (c *configCheckCommand) Run(ctx context.Context, daemon *client.Client, t *terminal) error {
	args, err := c.arguments(ctx, daemon)
	if err != nil {
		return usageError{err}
	}
	text, err := c.ask(ctx, append([]string{"-check-config", "-json"}, args...))
	if err != nil {
		return err
	}
	var v verdict
	var mistakes []mistake
	if err = json.Unmarshal(text, &v); err == nil {
		err = json.Unmarshal(v.Errors, &mistakes)
	}
	switch {
	case err != nil:
		return fmt.Errorf("cpulbd's answer: %w", err)
	case c.JSON:
		_, err = t.data().Write(text)
	case v.OK:
		fmt.Fprintln(t.out, "OK:", v.Source)
		fmt.Fprintf(t.out, "memory: the daemon takes %d MiB at the most, its workers not counted\n", (v.Memory+1<<20-1)>>20)
		for _, w := range v.Warnings {
			fmt.Fprintln(t.out, "warning:", w)
		}
	}
	if err == nil && !v.OK {
		if !c.JSON {
			for _, m := range mistakes {
				fmt.Fprintln(t.err, "cpulb:", m.text())
			}
		}
		return exit(exitFailed)
	}
	return err
}

func (m *mistake) text() string {
	text := m.Problem
	if m.File != "" {
		text = m.File + ":" + strconv.Itoa(m.Line) + ":" + strconv.Itoa(m.Column) + ": " + text
	}
	if len(m.Allowed) > 0 {
		text += " (allowed: " + strings.Join(m.Allowed, ", ") + ")"
	}
	return text
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
		case !errors.Is(err, client.ErrNoDaemon):
			fmt.Fprintf(t.err, "cpulb: the daemon does not show its configuration, this is what its file says now: %v\n", err)
		}
	}
	args, err := c.arguments(ctx, daemon)
	if err != nil {
		return nil, usageError{err}
	}
	if c.JSON {
		args = append(args, "-json")
	}
	return c.ask(ctx, append([]string{"-show-config"}, args...))
}
