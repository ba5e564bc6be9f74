package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// selection selects the tasks that a command is about.
type selection struct {
	Status []string          `help:"Tasks in this state; may be repeated, and any of them matches." placeholder:"STATE"`
	Label  map[string]string `help:"Tasks with this label; may be repeated, and all must match." placeholder:"KEY=VALUE" mapsep:"none"`
	Batch  string            `name:"batch" help:"Tasks of this batch." placeholder:"ID"`
}

func (s *selection) filter() (api.Filter, error) {
	f := api.Filter{Labels: s.Label}
	for _, name := range s.Status {
		var status task.Status
		if err := status.UnmarshalText([]byte(name)); err != nil {
			return f, usageError{err}
		}
		f.Statuses = append(f.Statuses, status)
	}
	var err error
	if s.Batch != "" {
		f.Batch, err = parseID(s.Batch)
	}
	return f, err
}

type tasksCommand struct {
	selection `embed:""`
	Limit     int  `help:"Print at most this many; 0 for all." default:"100"`
	JSON      bool `help:"Print one task per line, as JSON."`
}

// Run implements the command.
func (l *tasksCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	f, err := l.filter()
	switch {
	case err != nil:
		return err
	case l.Limit < 0:
		return usageError{fmt.Errorf("--limit=%d is negative", l.Limit)}
	}
	show, end := t.rows(l.JSON)
	count := 0
	for v, err := range c.List(ctx, f) {
		if err != nil {
			return err
		}
		if count++; l.Limit > 0 && count > l.Limit {
			fmt.Fprintf(t.err, "cpulb: these are the first %d; there are more (--limit)\n", l.Limit)
			break
		}
		if err := show(&v); err != nil {
			return err
		}
	}
	return end()
}

// rows returns a function that prints one task, and one that ends the table.
func (t *terminal) rows(asJSON bool) (show func(*task.View) error, end func() error) {
	if asJSON {
		return func(v *task.View) error { return printJSON(t.data(), v) }, func() error { return nil }
	}
	w := table(t.out)
	fmt.Fprintln(w, "TASK\tSTATUS\tPRIORITY\tPOOL\tATTEMPTS\tSUBMITTED\tSCRIPT\tLABELS")
	show = func(v *task.View) error {
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(v.Labels)) {
			labels = append(labels, name+"="+v.Labels[name])
		}
		return row(w, v.ID, v.Status, v.Priority, v.Pool, v.Attempts, v.SubmittedAt.Local().Format(time.DateTime),
			strconv.Quote(v.ScriptPath), strconv.Quote(strings.Join(labels, " ")))
	}
	return show, w.Flush
}

// printJSON prints v as one line.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
