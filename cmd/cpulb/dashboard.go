package main

import (
	"context"
	"errors"
	"fmt"

	"cpulb/cmd/cpulb/dashboard"
)

type dashboardCommand struct {
	Listen string `help:"Loopback address, or localhost, and port of the page; port 0 takes one that is free." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
}

// Run implements the command.
func (d *dashboardCommand) Run(ctx context.Context, a *arguments, t *terminal) error {
	l, err := dashboard.Listen(ctx, d.Listen)
	if errors.Is(err, dashboard.ErrAddress) {
		return usageError{fmt.Errorf("--listen: %w", err)}
	}
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	page := dashboard.New(a.Socket)
	if _, err := fmt.Fprintln(t.out, page.Address(l)); err != nil {
		return errors.Join(err, l.Close())
	}
	fmt.Fprintln(t.err, "cpulb: open this address in a browser; whoever has it can do with the daemon what you can. Ctrl-C ends it.")
	return page.Serve(ctx, l)
}
