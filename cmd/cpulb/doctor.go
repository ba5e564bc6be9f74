package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"cpulb/cmd/cpulb/doctor"
	"cpulb/cmd/cpulb/printable"
	"cpulb/cmd/version"
	"cpulb/ipc/client"
)

type doctorCommand struct {
	JSON bool `help:"Print one finding per line, as JSON."`
}

// Run implements the command.
func (d *doctorCommand) Run(ctx context.Context, a *arguments, c *client.Client, t *terminal) error {
	all, err := d.examine(ctx, t, &doctor.Host{Root: "/", Socket: a.Socket, Daemon: c, Version: version.Text(), Flag: flagOf, File: fileOf, Find: findProgram, Run: runProgram})
	if err == nil && ctx.Err() != nil {
		err = errors.New("interrupted; what follows was not looked at")
	}
	if err == nil && doctor.Worst(all) == doctor.Failed {
		err = exit(exitFailed)
	}
	return err
}

// examine prints each finding as soon as it is there.
func (d *doctorCommand) examine(ctx context.Context, t *terminal, h *doctor.Host) (all []doctor.Finding, err error) {
	for f := range doctor.Examine(ctx, h) {
		all = append(all, f)
		if d.JSON {
			err = printJSON(t.data(), f)
		} else {
			err = t.finding(&f)
		}
		if err != nil {
			break
		}
	}
	return all, err
}

// finding prints a line, and the remedy beneath.
func (t *terminal) finding(f *doctor.Finding) error {
	level := t.coloured(fmt.Sprintf("%-8s", f.Level), map[doctor.Level]string{doctor.OK: "32", doctor.Warning: "33", doctor.Failed: "31"}[f.Level])
	line := fmt.Sprintf("%s %-15s %s\n", level, f.Check, printable.Escape(f.Found, ""))
	if f.Remedy != "" {
		line += fmt.Sprintf("%-24s → %s\n", "", printable.Escape(f.Remedy, ""))
	}
	_, err := io.WriteString(t.asIs(), line)
	return err
}

func (t *terminal) coloured(text, code string) string {
	if !t.colours() {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// programPatience is how long a program may take that only says something of itself.
const programPatience = 10 * time.Second

func runProgram(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, programPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.String(), err
}
