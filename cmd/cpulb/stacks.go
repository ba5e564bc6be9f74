package main

import (
	"context"
	"io"

	"cpulb/ipc/client"
)

type stacksCommand struct {
	Worker string `arg:"" help:"The worker's id, as status shows it, e.g. cpu-0."`
}

// Run implements kong's command.
func (s *stacksCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	text, err := c.Stacks(ctx, s.Worker)
	if err != nil {
		return err
	}
	_, err = io.WriteString(t.out, text)
	return err
}
