package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// take takes what Map yields: the result of the first line that waits for one, or why there
// is none.
func (r *mapper) take(ctx context.Context, result *task.Result, err error) error {
	var of *client.TaskError
	if err != nil && (!errors.As(err, &of) || !final(of.Err)) {
		r.fail(err)
		return err
	}
	l := r.first()
	if r.again(l, result, err) {
		l.try++
		l.task.ID = r.out.run.id(l.number, l.try, l.check)
		for result, err = range r.client.Map(ctx, slices.Values([]*task.Task{l.task}), client.MapOptions{}) {
			break // Map, since it waits for room
		}
		if err != nil && !final(err) {
			r.fail(err)
			return err
		}
	}
	record := &mapRecord{Line: l.number, ID: l.task.ID}
	if err != nil {
		record.Status, record.Error = statusRefused, refusal(err)
	} else {
		record.Status, record.Data, record.Error = result.Status.String(), result.Data, result.Error
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.record, l.result = record, result
	return r.writeLocked()
}

// final reports whether err is about one task, of which nothing else is to be expected. What
// passes is not: it ends the run, which is resumed later.
func final(err error) bool {
	var p *api.Problem
	return errors.As(err, &p) && p.Code != "" && !api.IsTemporary(err) || errors.Is(err, client.ErrLost) || errors.Is(err, client.ErrTooLarge)
}

// refusal is err as a result has it.
func refusal(err error) *task.Error {
	var p *api.Problem
	if errors.As(err, &p) && !errors.Is(err, client.ErrLost) {
		return &task.Error{Type: "Refused", Message: p.Detail, Code: p.Code}
	}
	if errors.Is(err, client.ErrTooLarge) {
		return &task.Error{Type: "Refused", Message: err.Error(), Code: tooLarge}
	}
	return &task.Error{Type: "Lost", Message: err.Error(), Code: "lost"}
}

// first returns the first line that waits for its result.
func (r *mapper) first() *mapLine {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting[0] // what is before the first task has been written
}

// again reports whether what came of l is of the run before, and is no result to keep: it
// was cancelled or failed there, or its result is kept no longer.
func (r *mapper) again(l *mapLine, result *task.Result, err error) bool {
	if l.try == maxMapTries {
		return false
	}
	if err != nil {
		return len(r.out.known) > 0 && errors.Is(err, task.ErrEvicted)
	}
	_, known := r.before[l.task.ID]
	return known && result.Status != task.Completed
}

// writeLocked writes the results up to the first that is not there. r.mu is held.
func (r *mapper) writeLocked() error {
	for r.why == nil && len(r.waiting) > 0 && r.waiting[0].record != nil {
		l := r.waiting[0]
		r.waiting = r.waiting[1:]
		<-r.room
		if l.old == nil && !l.record.completed() {
			r.failed++
			r.say(l)
			if !r.command.KeepGoing {
				r.why = errFailed
				return r.why
			}
		}
		if r.why = r.out.write(l); r.why == nil {
			r.last = l.number
			r.count(l)
			r.bar.setFailed(r.failed)
		}
	}
	return r.why
}

// count shows that a line is done.
func (r *mapper) count(l *mapLine) {
	if l.old != nil {
		r.bar.skip(1)
		return
	}
	r.bar.add(1)
}

// say reports a line that did not complete.
func (r *mapper) say(l *mapLine) {
	r.bar.hide()
	defer r.bar.show()
	e := l.record.Error
	switch {
	case l.record.Status == statusRefused:
		fmt.Fprintf(r.err, "cpulb: line %d: %s [%s]\n", l.number, e.Message, e.Code)
	case r.command.KeepGoing: // in short: the whole is in the result
		fmt.Fprintf(r.err, "cpulb: line %d: %s\n", l.number, short(l.result))
	default:
		fmt.Fprintf(r.err, "cpulb: line %d:\n", l.number)
		r.explain(l.result)
	}
}

// short is why a task did not complete, in a line.
func short(r *task.Result) string {
	text := "the task " + ending(r.Status)
	if r.Error == nil {
		return text
	}
	said, _, _ := strings.Cut(r.Error.Type+": "+r.Error.Message, "\n")
	return fmt.Sprintf("%s [%s]: %s", text, r.Error.Code, said)
}
