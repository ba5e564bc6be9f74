package task

import (
	"errors"
	"slices"
	"strings"
)

// Op is what a line of a stream asks for.
type Op string

// The operations. The zero Op is none.
const (
	OpSubmit Op = "submit"
	OpCancel Op = "cancel"
)

// Command is one line that a client sends on a stream.
type Command struct {
	Op Op
	// Task is what OpSubmit submits. Named: its id is the client's own.
	Task  *Task
	Named bool
	// ID is the id that the line names, as it stands there: OpCancel's, or that of a
	// task with something wrong.
	ID string
	// Events: the client wants all events of the task, not its result alone.
	Events bool
	// Quiet: the client does not want to be told that the task was accepted.
	Quiet bool
}

// commandFields lists the JSON names of a Command.
var commandFields = [...]string{"op", "task", "task_id", "events", "ack"}

// DecodeCommand reads one line by the rules of Decode. The error is a FieldError; the
// Command then has what could be read, for whoever answers the client. text is not
// kept.
func DecodeCommand(text []byte) (Command, error) {
	c := commandReader{scanner: scanner{text: text}}
	err := c.read()
	if err == nil {
		err = c.ended()
	}
	if c.Op != OpSubmit {
		c.ID = c.cancels
	}
	if err == nil {
		err = c.check()
	}
	return c.Command, rename(err, "line")
}

// rename has err blame name where it blames the body, which a line is not.
func rename(err error, name string) error {
	var field *FieldError
	if errors.As(err, &field) && field.Field == "body" {
		field.Field = name
	}
	return err
}

// commandReader reads a Command. What is wrong with one member does not keep the
// others from being read: the answer to a bad line names its task.
type commandReader struct {
	scanner
	Command
	seen [len(commandFields)]bool
	// wrong is the first thing wrong with the line, wrongTask with its task. Neither
	// keeps it from being JSON.
	wrong, wrongTask error
	cancels          string // the task_id of the line itself
}

func (c *commandReader) read() error {
	if first := c.peek(); first != '{' && first != 0 {
		return c.wrongKind("line", "an object")
	}
	return c.members(func(name []byte) error {
		c.peek()
		start := c.pos
		err := c.member(name)
		if err == nil {
			return nil
		}
		c.pos = start
		value, broken := c.value()
		switch {
		case broken != nil:
			return broken
		case string(name) == "task":
			c.wrongTask, c.ID = rename(err, "task"), idIn(value)
		case c.wrong == nil:
			c.wrong = err
		}
		return nil
	})
}

func (c *commandReader) member(text []byte) (err error) {
	i := slices.IndexFunc(commandFields[:], func(name string) bool { return name == string(text) })
	switch {
	case len(text) == 0:
		return &FieldError{Field: "line", Problem: "has a field without a name", Allowed: commandFields[:]}
	case i < 0:
		return &FieldError{Field: strings.ToValidUTF8(clip(string(text)), "\uFFFD"), Problem: "unknown field", Allowed: commandFields[:]}
	}
	name := commandFields[i]
	if c.seen[i] {
		return &FieldError{Field: name, Problem: "is there twice"}
	}
	c.seen[i] = true
	if c.peek() == 'n' {
		return c.word("null")
	}
	switch name {
	case "op":
		c.Op, err = c.op()
	case "task":
		c.Task, c.Named, err = c.task()
	case "task_id":
		c.cancels, err = readText(&c.scanner, name)
	case "events":
		c.Events, err = c.flag(name)
	case "ack":
		c.Quiet, err = c.flag(name)
		c.Quiet = err == nil && !c.Quiet
	}
	return err
}

func (c *commandReader) op() (Op, error) {
	v, err := readQuoted(&c.scanner, "op")
	switch {
	case err != nil:
		return "", err
	case string(v) == string(OpSubmit):
		return OpSubmit, nil
	case string(v) == string(OpCancel):
		return OpCancel, nil
	}
	return "", nil // check reports it
}

func (c *commandReader) flag(name string) (bool, error) {
	v, err := readSwitch(&c.scanner, name)
	return err == nil && *v, err
}

// check reports what is wrong with a line that is JSON.
func (c *commandReader) check() error {
	switch {
	case c.wrong != nil:
		return c.wrong
	case c.Op == "":
		return &FieldError{Field: "op", Problem: "is missing or unknown", Allowed: []string{string(OpSubmit), string(OpCancel)}}
	case c.Op == OpSubmit && c.wrongTask != nil:
		return c.wrongTask
	case c.Op == OpSubmit && c.Task == nil:
		return &FieldError{Field: "task", Problem: "is missing"}
	case c.Op == OpCancel && c.ID == "":
		return &FieldError{Field: "task_id", Problem: "is missing"}
	}
	return nil
}

// idIn finds the id in a value that is JSON and may be a bad task; "" if there is
// none.
func idIn(value []byte) (id string) {
	s := scanner{text: value}
	if s.peek() != '{' {
		return ""
	}
	_ = s.members(func(name []byte) error { // it is JSON
		if string(name) == "task_id" && s.peek() == '"' {
			text, err := s.str()
			id = string(text)
			return err
		}
		_, err := s.value()
		return err
	})
	return id
}
