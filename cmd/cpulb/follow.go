package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cpulb/cmd/cpulb/printable"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// follow submits x and shows what it reports and prints while it runs. It returns its Result
// without what has been shown.
func (t *terminal) follow(ctx context.Context, c *client.Client, x *task.Task) (*task.Result, error) {
	if _, err := c.Submit(ctx, x); err != nil {
		return nil, err
	}
	shown := &live{terminal: t, bar: t.taskBar(), printed: t.ownOutput(x.Function == plainFunction)}
	defer shown.bar.end()
	for ev, err := range c.Events(ctx, x.ID, task.Cursor{}) {
		if err != nil {
			return nil, err
		}
		if ev.Kind == task.EventResult {
			return shown.last(shown.printed.rest(ev)), nil
		}
		if err := shown.show(ev); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: without the result", client.ErrCutOff)
}

// live shows the events of one task.
type live struct {
	*terminal
	bar     *bar
	printed *printed
	// yielded are the values that were shown, as the list that the Result has of them; nil:
	// none was, or not all were.
	yielded [][]byte
}

func (l *live) show(ev *task.Event) error {
	switch ev.Kind {
	case task.EventProgress:
		if !l.bar.shown() { // a file, or whoever reads, gets lines
			l.printed.endLine()
			fmt.Fprintf(l.err, "%3.0f%% %s\n", 100**ev.Fraction, printable.Escape(ev.Message, "\t"))
		}
		l.bar.fraction(*ev.Fraction, ev.Message)
	case task.EventLog, task.EventGap:
		l.ownLine()
		defer l.bar.show()
		fmt.Fprintln(l.err, logLine(ev))
	case task.EventOutput:
		return l.print(ev)
	case task.EventPartial:
		l.yielded = append(l.yielded, compact(ev.Value))
		l.ownLine()
		defer l.bar.show()
		_, err := fmt.Fprintln(l.data(), string(ev.Value))
		return err
	case task.EventState:
		if *ev.Status != task.Running { // another attempt follows, which yields from its beginning
			l.yielded = nil
		}
	}
	return nil
}

// print shows what the script has printed. The bar waits for the end of the line.
func (l *live) print(ev *task.Event) error {
	if l.printed.open == nil {
		l.bar.hide()
	}
	err := l.printed.show(ev)
	if l.printed.open == nil {
		l.bar.show()
	}
	return err
}

// ownLine takes the bar away until it is shown, for something that begins a line.
func (l *live) ownLine() {
	if l.printed.open == nil {
		l.bar.hide()
	}
	l.printed.endLine()
}

// last returns r without data that has been shown value by value.
func (l *live) last(r *task.Result) *task.Result {
	list := listOf(l.yielded)
	if len(l.yielded) == 0 || !bytes.Equal(compact(r.Data), list) {
		return r
	}
	shown := *r
	shown.Data = nil
	return &shown
}

// listOf returns the JSON list of values.
func listOf(values [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(values, []byte{','})...), ']')
}

// compact returns JSON text without white space between its tokens.
func compact(text json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return text // the daemon sends JSON
	}
	return b.Bytes()
}

// logLine is a log event, or a gap where some were dropped, as one line.
func logLine(ev *task.Event) string {
	if ev.Kind == task.EventGap {
		return fmt.Sprintf("… %d events are kept no longer", ev.Missed)
	}
	return ev.Level + ": " + strings.ReplaceAll(ev.Message, "\n", "\n    ") // so that no line of it looks like another event
}

type logsCommand struct {
	ID     string `arg:"" help:"Id of the task."`
	Follow bool   `short:"f" help:"Wait for what is to come, up to the task's end."`
	JSON   bool   `help:"Print the log events and the result, one per line, as JSON."`
}

// Run implements the command.
func (l *logsCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	id, err := parseID(l.ID)
	if err != nil {
		return err
	}
	read := c.KeptEvents
	if l.Follow {
		var stop func()
		ctx, stop = t.whileRead(ctx)
		defer stop()
		read = c.Events
	}
	printed := newPrinted(t.script(false))
	for ev, err := range read(ctx, id, task.Cursor{}) {
		if err != nil {
			return interrupted(ctx, err)
		}
		if err := l.print(t, printed, ev); err != nil || ev.Kind == task.EventResult {
			return err
		}
	}
	v, err := c.Task(ctx, id)
	if err == nil && !v.Status.Terminal() {
		fmt.Fprintf(t.err, "cpulb: the task is %s; --follow waits for what is to come\n", v.Status)
	}
	return err
}

func (l *logsCommand) print(t *terminal, printed *printed, ev *task.Event) error {
	switch ev.Kind {
	case task.EventLog, task.EventGap:
	case task.EventOutput:
		if !l.JSON { // else the result has it
			return printed.show(ev)
		}
		return nil
	case task.EventResult:
		if !l.JSON {
			return t.printed(printed.rest(ev))
		}
	default:
		return nil
	}
	if l.JSON {
		return printJSON(t.data(), ev)
	}
	printed.endLine()
	_, err := fmt.Fprintln(t.out, logLine(ev))
	return err
}

// printed passes on what a script has printed, where it did.
func (t *terminal) printed(r *task.Result) error {
	out, err := t.script(false)
	if _, bad := fmt.Fprint(out, r.Stdout); bad != nil {
		return bad
	}
	_, bad := fmt.Fprint(err, r.Stderr)
	t.missing(r)
	return bad
}

// interrupted returns what a command ends with that was reading when ctx ended, or err.
func interrupted(ctx context.Context, err error) error {
	if gone := readerLeft(ctx); gone != nil {
		return gone
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}
