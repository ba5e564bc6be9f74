package main

import (
	"bytes"
	"strconv"

	"cpulb/daemon/task"
)

// torn reports whether text, with which the file ends, is surely what has come of a result into
// it: it is cut off then. Where no result stands before it, so much of it is needed that nobody
// else has written it.
func (o *mapOutput) torn(text []byte) bool {
	text = bytes.TrimRight(text, "\x00") // what a file system leaves where the power was cut
	rest, whole := o.beginning(text)
	switch {
	case whole:
		return rest != nil
	case rest != nil:
		return len(o.known) > 0
	}
	return false
}

// beginning reads the line's number and the task's id, as printJSON writes them. rest is what
// follows them, nil if there is something else; whole: both are there.
func (o *mapOutput) beginning(text []byte) (rest []byte, whole bool) {
	rest, more := after(text, `{"line":`)
	if !more {
		return rest, false
	}
	digits := len(rest) - len(bytes.TrimLeft(rest, "0123456789"))
	if digits == len(rest) {
		return rest, false
	}
	number, err := strconv.Atoi(string(rest[:digits]))
	if err != nil || len(o.known) > 0 && number <= lineOf(o.known[len(o.known)-1]) {
		return nil, false
	}
	if rest, more = after(rest[digits:], `,"task_id":"`); !more {
		return rest, false
	}
	const idLength = 36
	if len(rest) < idLength {
		run := o.run.id(0, 0, [3]byte{}).String()[:len(o.run.String())+2] // with two hyphens
		n := min(len(rest), len(run))
		if string(rest[:n]) != run[:n] {
			return nil, false
		}
		return rest, false
	}
	id, err := task.ParseID(string(rest[:idLength]))
	run, line, _, ok := mapRunOf(id)
	if err != nil || !ok || line != number || len(o.known) > 0 && run != o.run {
		return nil, false
	}
	rest, _ = after(rest[idLength:], `","status":"`)
	return rest, true
}

// after returns what follows begin in text, and whether there is more to be looked at; nil: text
// begins in another way.
func after(text []byte, begin string) (rest []byte, more bool) {
	if rest, ok := bytes.CutPrefix(text, []byte(begin)); ok {
		return rest, true
	}
	if bytes.HasPrefix([]byte(begin), text) {
		return []byte{}, false
	}
	return nil, false
}

func lineOf(id task.ID) int {
	_, line, _, _ := mapRunOf(id)
	return line
}
