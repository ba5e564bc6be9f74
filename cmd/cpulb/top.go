package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"cpulb/cmd/cpulb/top"
	"cpulb/ipc/client"
)

type topCommand struct {
	Once     bool          `help:"Print one frame and end. So it does, too, when stdout is not a terminal. Figures per second are of one --interval, for which it waits."`
	Interval time.Duration `help:"Time between two looks." default:"2s" placeholder:"2s"`
	Sort     string        `help:"Sort the workers by: ${enum}." enum:"${orders}" default:"core" placeholder:"core"`
	JSON     bool          `help:"Print what one frame shows, as JSON."`
}

// leastInterval keeps the daemon from being asked all the time.
const leastInterval = 10 * time.Millisecond

// Run implements the command.
func (w *topCommand) Run(ctx context.Context, a *arguments, t *terminal) error {
	c := client.New(a.Socket, client.WithPatience(0), client.WithAnswerTimeout(answerTimeout)) // that the daemon is gone is to be seen
	defer c.Close()
	if w.Interval < leastInterval {
		return usageError{fmt.Errorf("--interval=%s is less than %s", w.Interval, leastInterval)}
	}
	look := top.Look{Sort: top.ParseOrder(w.Sort), Every: w.Interval}
	in, _ := t.in.(*os.File)
	out, _ := t.raw.out.(*os.File)
	if !w.Once && !w.JSON && isTerminal(t.raw.out) && in != nil && os.Getenv("TERM") != "dumb" {
		return top.Show(ctx, top.New(c), in, out, os.Environ(), look)
	}
	s, err := twice(ctx, top.New(c), w.Interval)
	switch {
	case err != nil:
		return err
	case w.JSON:
		return printJSON(t.data(), s)
	}
	look.Every = 0
	_, err = io.WriteString(t.out, top.Frame(&s, look)+"\n")
	return err
}

// twice looks two times, for rates.
func twice(ctx context.Context, c *top.Collector, interval time.Duration) (top.Snapshot, error) {
	if s, err := c.Next(ctx); err != nil {
		return s, err
	}
	select {
	case <-time.After(interval):
	case <-ctx.Done():
		return top.Snapshot{}, context.Cause(ctx)
	}
	return c.Next(ctx)
}
