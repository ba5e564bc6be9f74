package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"cpulb/daemon/task"

	"golang.org/x/sys/unix"
)

// The codes of a terminal: a screen of one's own and back, its beginning, and what is below
// the cursor erased.
const (
	ownScreen    = "\x1b[?1049h\x1b[?25l"
	formerScreen = "\x1b[?25h\x1b[?1049l"
	screenTop    = "\x1b[H"
	eraseBelow   = "\x1b[J"
	eraseRest    = "\x1b[K"
)

// watch looks again and again, and shows what there is. Ctrl-C ends it, and is no failure; it
// ends, too, when whoever reads has gone.
func (l *tasksCommand) watch(ctx context.Context, t *terminal, look func(context.Context) ([]task.View, bool, error)) error {
	ctx, stop := t.whileRead(ctx)
	defer stop()
	show := l.changes(t)
	if f, ok := t.raw.out.(*os.File); ok && isTerminal(f) && !l.JSON {
		if _, err := io.WriteString(f, ownScreen); err != nil {
			return err
		}
		defer func() { _, _ = io.WriteString(f, formerScreen) }() // an error: there is no screen any more
		show = func(all []task.View, more bool) error { return l.draw(t, f, all, more) }
	}
	ticker := time.NewTicker(l.Every)
	defer ticker.Stop()
	for {
		all, more, err := look(ctx)
		if err == nil {
			err = show(all, more)
		}
		switch {
		case ctx.Err() != nil:
			return readerLeft(ctx)
		case err != nil:
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return readerLeft(ctx)
		}
	}
}

// draw shows as many tasks as the screen has room for.
func (l *tasksCommand) draw(t *terminal, f *os.File, all []task.View, more bool) error {
	rows, columns := 24, 80
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Row > 0 && size.Col > 0 {
		rows, columns = int(size.Row), int(size.Col)
	}
	room := max(0, rows-3) // the header, the last line, and the cursor's own
	left := len(all) - room
	lines := taskGrid(all[:min(room, len(all))]).lines(t.colours(), columns)
	switch {
	case left > 0 && more:
		lines = append(lines, fmt.Sprintf("… %d more, and there may be others", left))
	case left > 0:
		lines = append(lines, fmt.Sprintf("… %d more", left))
	case more:
		lines = append(lines, fmt.Sprintf("%d tasks, and there may be others", len(all)))
	default:
		lines = append(lines, fmt.Sprintf("%d tasks", len(all)))
	}
	_, err := io.WriteString(f, screenTop+strings.Join(lines, eraseRest+"\r\n")+eraseRest+"\r\n"+eraseBelow)
	return err
}

// changes returns a function that prints those tasks that are new or have changed, in the
// order of their submission: what is printed last is the latest.
func (l *tasksCommand) changes(t *terminal) func([]task.View, bool) error {
	known := map[task.ID]task.View{}
	header := !l.JSON
	return func(all []task.View, _ bool) error {
		now := make(map[task.ID]task.View, len(all))
		var changed []task.View
		for _, v := range all {
			if before, ok := known[v.ID]; !ok || !reflect.DeepEqual(before, v) {
				changed = append(changed, v)
			}
			now[v.ID] = v
		}
		known = now
		if !l.Oldest {
			slices.Reverse(changed)
		}
		if l.JSON {
			return printAll(t.data(), changed)
		}
		lines := taskGrid(changed).lines(false, 0)
		if !header {
			lines = lines[1:]
		}
		header = false
		if len(lines) == 0 {
			return nil
		}
		_, err := io.WriteString(t.asIs(), strings.Join(lines, "\n")+"\n")
		return err
	}
}
