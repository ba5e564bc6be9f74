package main

import (
	"bytes"
	"context"
	"fmt"
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
	all := doctor.Examine(ctx, &doctor.Host{Root: "/", Socket: a.Socket, Daemon: c, Version: version.Text(), Flag: flagOf, File: fileOf, Find: findProgram, Run: runProgram})
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	var err error
	if d.JSON {
		err = printAll(t.data(), all)
	} else {
		err = t.findings(all)
	}
	if err == nil && doctor.Worst(all) == doctor.Failed {
		err = exit(exitFailed)
	}
	return err
}

// findings prints a line for each, and the remedies beneath.
func (t *terminal) findings(all []doctor.Finding) error {
	for _, f := range all {
		level := t.coloured(fmt.Sprintf("%-8s", f.Level), map[doctor.Level]string{doctor.OK: "32", doctor.Warning: "33", doctor.Failed: "31"}[f.Level])
		line := fmt.Sprintf("%s %-15s %s\n", level, f.Check, printable.Escape(f.Found, ""))
		if f.Remedy != "" {
			line += fmt.Sprintf("%-24s → %s\n", "", printable.Escape(f.Remedy, ""))
		}
		if _, err := t.raw.out.Write([]byte(line)); err != nil {
			return err
		}
	}
	return nil
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
