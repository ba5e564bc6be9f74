package main

import (
	"context"
	"fmt"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

type eventsCommand struct {
	ID     string `arg:"" help:"Id of the task."`
	After  string `help:"Only events after this cursor." placeholder:"CURSOR"`
	NoWait bool   `help:"Only those that are kept: do not wait for what is to come."`
}

// Run implements the command.
func (e *eventsCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	id, err := parseID(e.ID)
	if err != nil {
		return err
	}
	var after task.Cursor
	if e.After != "" {
		if err := after.UnmarshalText([]byte(e.After)); err != nil {
			return usageError{fmt.Errorf("--after: %w", err)}
		}
	}
	ctx, stop := t.whileRead(ctx)
	defer stop()
	read := c.Events
	if e.NoWait {
		read = c.KeptEvents
	}
	for ev, err := range read(ctx, id, after) {
		if err != nil {
			return goesOn(interrupted(ctx, err), after)
		}
		after = ev.Cursor
		if err := printJSON(t.data(), ev); err != nil {
			return err
		}
	}
	return nil
}

// goesOn adds to err how to read on after the last event that was read.
func goesOn(err error, after task.Cursor) error {
	if after == (task.Cursor{}) {
		return err
	}
	cursor, _ := after.MarshalText() // has no error to return
	return fmt.Errorf("%w; --after=%s goes on", err, cursor)
}
