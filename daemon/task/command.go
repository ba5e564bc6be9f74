package task

import (
	"errors"
	"fmt"
)

// Op is the operation of a line of a stream.
type Op string

// The operations. The zero Op is not one.
const (
	OpSubmit Op = "submit"
	OpCancel Op = "cancel"
	OpWatch  Op = "watch"
)

// Command is one line that a client sends on a stream.
type Command struct {
	Op Op
	// Task is what OpSubmit submits. Named: its id is in the line.
	Task  *Task
	Named bool
	// ID is the text of the id in the line: OpCancel's and OpWatch's, or that of a task
	// with an error.
	ID string
	// Events: the client wants all events of the task, not its result alone.
	Events bool
	// Quiet: the client does not want an accepted line.
	Quiet bool
}

// commandNames are those of a Command.
var commandNames = namesOf("op", "task", "task_id", "events", "ack")

// takes reports whether a line with this operation may have the field name.
func (op Op) takes(name string) bool {
	if name == "op" {
		return true
	}
	return (op == OpSubmit) == (name != "task_id")
}

// DecodeCommand reads one line by the rules of Decode; it may have no field that its
// operation does not take. The error is a FieldError; the Command then has what could be
// read, for the answer to the client. text is not kept.
func DecodeCommand(text []byte) (Command, error) { return readCommand(scanner{text: text}) }

// TakeCommand is DecodeCommand of a text that must not change any more: as Take.
func TakeCommand(text []byte) (Command, error) { return readCommand(scanner{text: text, taken: true}) }

func readCommand(s scanner) (Command, error) {
	c := commandReader{scanner: s}
	err := c.read()
	if err == nil {
		err = c.ended()
	}
	if c.Op != OpSubmit {
		c.ID = c.taskID
	}
	if err == nil {
		err = c.check()
	}
	return c.Command, rename(err, "line")
}

// rename makes an error of the body, which a line does not have, one of the field
// name.
func rename(err error, name string) error {
	if err == nil {
		return nil
	}
	var field *FieldError
	if errors.As(err, &field) && field.Field == "body" {
		field.Field = name
	}
	return err
}

// commandReader reads a Command. An error in one member does not keep the others from
// being read: the answer to a bad line names its task.
type commandReader struct {
	scanner
	Command
	seen, given [5]bool
	// wrong is the first error of the line, wrongTask the error of its task. In spite
	// of both the line is JSON.
	wrong, wrongTask error
	taskID           string // of the line itself
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
		broken := c.skip(maxDepth + 1)
		value := c.text[start:c.pos]
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

func (c *commandReader) member(text []byte) error {
	i, err := commandNames.place(text, "line", c.seen[:])
	if err != nil {
		return err
	}
	if c.peek() == 'n' {
		return c.word("null")
	}
	c.given[i] = true
	switch name := commandNames.all[i]; name {
	case "op":
		c.Op, err = c.op()
	case "task":
		c.Task, c.Named, err = c.task()
	case "task_id":
		c.taskID, err = readText(&c.scanner, name)
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
	case string(v) == string(OpWatch):
		return OpWatch, nil
	}
	return "", nil // check reports it
}

func (c *commandReader) flag(name string) (bool, error) {
	v, err := readSwitch(&c.scanner, name)
	return err == nil && *v, err
}

// check reports the errors of a line that is JSON.
func (c *commandReader) check() error {
	switch {
	case c.wrong != nil:
		return c.wrong
	case c.Op == "":
		return &FieldError{Field: "op", Problem: "is missing or unknown", Allowed: []string{string(OpSubmit), string(OpCancel), string(OpWatch)}}
	case c.Op == OpSubmit && c.wrongTask != nil:
		return c.wrongTask
	}
	for i, name := range commandNames.all {
		if c.given[i] && !c.Op.takes(name) {
			return &FieldError{Field: name, Problem: fmt.Sprintf("is not for %q", c.Op)}
		}
	}
	switch {
	case c.Op == OpSubmit && c.Task == nil:
		return &FieldError{Field: "task", Problem: "is missing"}
	case c.Op != OpSubmit && c.ID == "":
		return &FieldError{Field: "task_id", Problem: "is missing"}
	}
	return nil
}

// idIn returns the task_id in a value that is JSON but may be a bad task; "" if there
// is none.
func idIn(value []byte) (id string) {
	s := scanner{text: value}
	if s.peek() != '{' {
		return ""
	}
	_ = s.members(func(name []byte) error { // it is JSON; an id that is not text is none
		if string(name) == "task_id" && s.peek() == '"' {
			text, err := readText(&s, "task_id")
			id = text
			return err
		}
		_, err := s.value()
		return err
	})
	return id
}
