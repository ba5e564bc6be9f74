package ipc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"cpulb/daemon/task"
)

// lineBuffer is what is read at once, and the length up to which a line is not
// copied.
const lineBuffer = 32 << 10

// lines reads a client's lines, each of at most limit bytes.
type lines struct {
	r     *bufio.Reader
	limit int64
	// number is that of the line last returned, from 1.
	number int
}

// next returns the next line that is not blank, valid until the next call. A
// line over the limit is read to its end, in bounded memory, and is an error for
// which tooLong holds; reading goes on after it. What comes after the last
// newline may have been cut and is no line.
func (l *lines) next() ([]byte, error) {
	for {
		l.number++
		text, err := l.read()
		if text = bytes.TrimSpace(text); err != nil || len(text) > 0 {
			return text, err
		}
	}
}

func (l *lines) read() ([]byte, error) {
	text, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		text, err = l.readLong(text)
	}
	if err == nil && int64(len(text)-1) > l.limit { // the newline does not count
		return nil, tooLarge(l.limit)
	}
	return text, err
}

// readLong reads the rest of a line of which first is the beginning. Of one over
// the limit it keeps just enough for that to show.
func (l *lines) readLong(first []byte) ([]byte, error) {
	line, err := bytes.Clone(first), bufio.ErrBufferFull
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = l.r.ReadSlice('\n')
		if int64(len(line)) <= l.limit+1 {
			line = append(line, more...)
		}
	}
	return line, err
}

// tooLong reports whether err is that of one line, after which others can be read.
func tooLong(err error) bool {
	var request *requestError
	return errors.As(err, &request)
}

// command is one line from the client.
type command struct {
	Op     string          `json:"op"`
	Task   json.RawMessage `json:"task"`
	TaskID string          `json:"task_id"`
	Events bool            `json:"events"`
	// Ack false asks for no "accepted" line: the sender waits for the result, and
	// is spared the waking. Absent means true.
	Ack *bool `json:"ack"`
}

// decodeCommand reads one line and leaves its task undecoded.
func decodeCommand(text []byte) (command, error) {
	var c command
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	err := dec.Decode(&c)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			return c, &task.FieldError{Field: "line", Code: codeInvalidJSON, Problem: "more than one JSON value"}
		}
		return c, c.check()
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case !json.Valid(text):
		return c, &task.FieldError{Field: "line", Code: codeInvalidJSON, Problem: "not JSON: " + err.Error()}
	case errors.As(err, &wrong) && wrong.Field != "":
		return c, &task.FieldError{Field: wrong.Field, Problem: "must not be a JSON " + wrong.Value}
	default:
		return c, &task.FieldError{Field: "line", Problem: "not an object with known fields: " + err.Error(),
			Allowed: []string{"op", "task", "task_id", "events", "ack"}}
	}
}

// decodeLine reads one line, and the task of one that submits. The error is a
// task.FieldError; the command then has what could be read of it.
func decodeLine(text []byte) (command, *task.Task, error) {
	if c, ok := plainSubmit(text); ok {
		if t, err := task.Decode(c.Task); err == nil {
			return c, t, nil
		}
	}
	c, err := decodeCommand(text)
	if err != nil || c.Op != opSubmit {
		return c, nil, err
	}
	t, err := task.Decode(c.Task)
	return c, t, err
}

// plainSubmit takes a line apart as clients write it when they submit a task and
// say no more. This spares the most frequent line a general decoder. The line is
// such a one only if what it returns as the task is one; else it says nothing.
func plainSubmit(text []byte) (command, bool) {
	for _, form := range [...]struct {
		prefix string
		ack    *bool
	}{
		{`{"op":"submit","ack":false,"task":`, new(bool)},
		{`{"op":"submit","task":`, nil},
		{`{"op": "submit", "task": `, nil},
	} {
		if task, ok := bytes.CutPrefix(text, []byte(form.prefix)); ok && bytes.HasSuffix(task, []byte("}")) {
			return command{Op: opSubmit, Task: task[:len(task)-1], Ack: form.ack}, true
		}
	}
	return command{}, false
}

func (c *command) check() error {
	switch {
	case c.Op != opSubmit && c.Op != opCancel:
		return &task.FieldError{Field: "op", Problem: "is missing or unknown", Allowed: []string{opSubmit, opCancel}}
	case c.Op == opSubmit && len(c.Task) == 0:
		return &task.FieldError{Field: "task", Problem: "is missing"}
	case c.Op == opCancel && c.TaskID == "":
		return &task.FieldError{Field: "task_id", Problem: "is missing"}
	}
	return nil
}

// maxNamedID bounds the id that is repeated to the sender of a refused line.
const maxNamedID = 64

// namedID finds the id by which the sender of a refused line knows it; nil if
// there is none.
func (c *command) namedID() *string {
	id := &c.TaskID
	if c.Op == opSubmit {
		var named struct {
			ID *string `json:"task_id"`
		}
		_ = json.Unmarshal(c.Task, &named) // what is no task may still name one
		id = named.ID
	}
	if id == nil || *id == "" || len(*id) > maxNamedID {
		return nil
	}
	return id
}
