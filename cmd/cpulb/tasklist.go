package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
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
	Pool      string        `help:"Tasks of this pool." placeholder:"NAME"`
	Script    string        `help:"Tasks of scripts with this file name or path; * stands for any text." placeholder:"PATTERN"`
	Since     time.Duration `help:"Tasks that were submitted no longer ago than this, e.g. 1h." placeholder:"DURATION"`
	Newest    bool          `help:"Those that were submitted last come first."`
	Limit     int           `help:"Print at most this many; 0 for all." default:"100"`
	Watch     bool          `short:"w" help:"Go on until Ctrl-C: a terminal shows the list as it stands, anything else gets a line for each task whenever it has changed."`
	Every     time.Duration `help:"How often --watch looks." default:"1s" placeholder:"DURATION"`
	JSON      bool          `help:"Print one task per line, as JSON."`
}

// Run implements the command.
func (l *tasksCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	f, err := l.filter()
	switch {
	case err != nil:
		return err
	case l.Limit < 0:
		return usageError{fmt.Errorf("--limit=%d is negative", l.Limit)}
	case l.Since < 0:
		return usageError{fmt.Errorf("--since=%s is negative", l.Since)}
	case l.Every <= 0:
		return usageError{fmt.Errorf("--every=%s: it must be above zero", l.Every)}
	}
	if _, err := path.Match(l.Script, ""); err != nil {
		return usageError{fmt.Errorf("--script=%s: %w", l.Script, err)}
	}
	look := func() ([]task.View, bool, error) { return l.look(ctx, c, f) }
	if l.Watch {
		return l.watch(ctx, t, look)
	}
	all, more, err := look()
	if err != nil {
		return err
	}
	if l.JSON {
		err = printAll(t.data(), all)
	} else {
		err = taskGrid(all).print(t)
	}
	if more {
		fmt.Fprintf(t.err, "cpulb: these are the first %d; there are more (--limit)\n", l.Limit)
	}
	return err
}

// look returns the tasks that are wanted. more: there are some beyond the limit.
func (l *tasksCommand) look(ctx context.Context, c *client.Client, f api.Filter) (all []task.View, more bool, err error) {
	if l.Since > 0 {
		now := time.Now()
		f.Since = now.Add(-l.Since)
	}
	list := c.List
	if l.Newest {
		list = c.Newest
	}
	for v, err := range list(ctx, f) {
		if err != nil {
			return nil, false, err
		}
		if !l.wants(&v) {
			continue
		}
		if l.Limit > 0 && len(all) == l.Limit {
			return all, true, nil
		}
		all = append(all, v)
	}
	return all, false, nil
}

// wants reports whether v is one of those that the daemon does not tell apart.
func (l *tasksCommand) wants(v *task.View) bool {
	if l.Pool != "" && v.Pool != l.Pool {
		return false
	}
	if l.Script == "" {
		return true
	}
	name := v.ScriptPath
	if !strings.Contains(l.Script, "/") {
		name = path.Base(name)
	}
	matches, _ := path.Match(l.Script, name) // Run has looked at the pattern
	return matches
}

// taskGrid is a table of tasks.
func taskGrid(all []task.View) *grid {
	g := newGrid("TASK\tSTATUS\tPRIORITY\tPOOL\tATTEMPTS\tSUBMITTED\tSCRIPT\tLABELS")
	for i := range all {
		g.task(&all[i])
	}
	return g
}

// task adds a row.
func (g *grid) task(v *task.View) {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(v.Labels)) {
		labels = append(labels, name+"="+v.Labels[name])
	}
	g.row(statusStyle(v.Status), v.ID, v.Status, v.Priority, v.Pool, v.Attempts, v.SubmittedAt.Local().Format(time.DateTime),
		strconv.Quote(v.ScriptPath), strconv.Quote(strings.Join(labels, " ")))
}

// statusStyle is how a row about a task with this status is shown.
func statusStyle(s task.Status) style {
	switch s {
	case task.Running:
		return good
	case task.Failed, task.TimedOut:
		return bad
	case task.Cancelled:
		return faint
	}
	return plain
}

// printJSON prints v as one line.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
