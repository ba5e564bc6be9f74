package task

import (
	"fmt"
	"unicode/utf8"
)

// defaultParams are the params of a task without any.
const defaultParams = "{}"

// Decode reads one task from JSON, fills in defaults and validates it. It does
// not look at the file system. The error is a FieldError that names the field,
// or the place where the text stops being JSON. text is not kept.
//
// Names are matched exactly, none may be given twice, and null means absent, except
// for params.
func Decode(text []byte) (*Task, error) { return readTask(scanner{text: text}) }

// Take is Decode of a text that must not change any more: params that are nearly all of it,
// and of the room behind it, are not copied.
func Take(text []byte) (*Task, error) { return readTask(scanner{text: text, taken: true}) }

func readTask(s scanner) (*Task, error) {
	t, _, err := s.task()
	if err == nil {
		err = s.ended()
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// ended returns an error if more than white space is left.
func (s *scanner) ended() error {
	if s.peek(); s.pos < len(s.text) {
		return errTrailing()
	}
	return nil
}

func errTrailing() error {
	return &FieldError{Field: "body", Problem: "more than one JSON value, or something after it", Code: "invalid_json"}
}

// task reads one task; named: its id is in the text. It checks that the text it has
// read is UTF-8, and no more of the text, so that each byte of a batch is checked
// once.
func (s *scanner) task() (t *Task, named bool, err error) {
	start := s.pos
	if c := s.peek(); c != '{' && c != 0 {
		err = s.wrongKind("body", "an object")
	} else {
		t = &Task{Function: DefaultFunction, Type: CPUBound, Priority: DefaultPriority}
		err = t.read(s)
	}
	switch {
	case !utf8.Valid(s.text[start:s.pos]):
		return nil, false, &FieldError{Field: "body", Problem: "not valid UTF-8", Code: "invalid_json"}
	case err != nil:
		return nil, false, err
	}
	if named = t.ID != (ID{}); !named {
		t.ID = NewID()
	}
	if t.Params == nil {
		t.Params = []byte(defaultParams)
	}
	if err := t.Validate(); err != nil {
		return nil, false, err
	}
	return t, named, nil
}

func (t *Task) read(s *scanner) error {
	var seen [len(fields)]bool
	return s.members(func(name []byte) error {
		i, err := fieldNames.place(name, "body", seen[:])
		if err != nil {
			return err
		}
		if s.peek() == 'n' && fields[i].name != "params" {
			return s.word("null")
		}
		return fields[i].read(s, t)
	})
}

// AppendJSON appends t as Decode reads it, without absent fields. Params are copied
// unchanged, newlines between their tokens included: for a line use json.Marshal, or
// params that are known to be on one line.
func (t *Task) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for i := range fields {
		f := &fields[i]
		if !f.given(t) {
			continue
		}
		if i > 0 { // the first, task_id, is always given
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, f.name...)
		b = append(b, '"', ':')
		b = f.write(b, t)
	}
	return append(b, '}')
}

// MarshalJSON implements json.Marshaler.
func (t Task) MarshalJSON() ([]byte, error) {
	return t.AppendJSON(make([]byte, 0, 256+len(t.Params))), nil
}

// UnmarshalJSON implements json.Unmarshaler by Decode.
func (t *Task) UnmarshalJSON(text []byte) error {
	decoded, err := Decode(text)
	if err != nil {
		return fmt.Errorf("task: %w", err)
	}
	*t = *decoded
	return nil
}
