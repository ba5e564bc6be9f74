package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
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
	Status []string          `help:"Tasks in this state; may be repeated, and any of them matches. One of: ${enum}." enum:"${states}" placeholder:"STATE"`
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
	Oldest    bool          `help:"Those that were submitted first come first, and not those that were submitted last."`
	Limit     int           `help:"Print at most this many; 0 for all." default:"100"`
	Watch     bool          `short:"w" help:"Go on until Ctrl-C: a terminal shows the list as it stands, anything else gets a line for each task whenever it has changed. Each look is at ${watched} tasks at the most."`
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
	if l.Watch {
		return l.watch(ctx, t, func(ctx context.Context) ([]task.View, bool, error) { return l.look(ctx, c, f, mostWatched) })
	}
	all, more, err := l.look(ctx, c, f, math.MaxInt)
	if err != nil {
		return err
	}
	if l.JSON {
		err = printAll(t.data(), all)
	} else {
		err = taskGrid(all).print(t)
	}
	if more {
		fmt.Fprintf(t.err, "cpulb: these are the %s %d; there are more (--limit)\n", l.end(), l.Limit)
	}
	return err
}

// end says from which end of the list its tasks are.
func (l *tasksCommand) end() string {
	if l.Oldest {
		return "oldest"
	}
	return "newest"
}

// mostWatched is how many tasks --watch asks for each time: those that it looks for itself, by
// --pool or --script, may be rare among all that the daemon keeps.
const mostWatched = api.MaxPage

// look returns those tasks that are wanted among the first most that the daemon lists. more:
// there may be some beyond the limit, or beyond those.
func (l *tasksCommand) look(ctx context.Context, c *client.Client, f api.Filter, most int) (all []task.View, more bool, err error) {
	if l.Since > 0 {
		now := time.Now()
		f.Since = now.Add(-l.Since)
	}
	list := c.Newest
	if l.Oldest {
		list = c.List
	}
	seen := 0
	for v, err := range list(ctx, f) {
		if err != nil {
			return nil, false, err
		}
		seen++
		switch wanted := l.wants(&v); {
		case wanted && l.Limit > 0 && len(all) == l.Limit:
			return all, true, nil
		case wanted:
			all = append(all, v)
		}
		if seen == most { // to go on would ask for the next page
			return all, true, nil
		}
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
