package task

import (
	"errors"
	"iter"
	"unicode/utf8"
)

// errStopped is what the scanner ends with when nobody wants more.
var errStopped = errors.New("stopped")

// DecodeBatch reads {"tasks":[…]} and yields, in order, each task or what is
// wrong with it: a bad task does not keep the others from being read. Only where
// the text itself is not to be read any further, a BatchError comes last.
func DecodeBatch(text []byte) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		s := scanner{text: text}
		err := s.batch(yield)
		if err == nil {
			err = s.ended()
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, &BatchError{err})
		}
	}
}

// BatchError says why a text is no batch, or not to its end.
type BatchError struct{ Err error }

func (e *BatchError) Error() string { return e.Err.Error() }

// Unwrap returns the FieldError.
func (e *BatchError) Unwrap() error { return e.Err }

// batch reads the object around the tasks.
func (s *scanner) batch(yield func(*Task, error) bool) error {
	if c := s.peek(); c != '{' && c != 0 {
		return s.wrongKind("body", `an object such as {"tasks":[…]}`)
	}
	seen := false
	err := s.members(func(name []byte) error {
		switch {
		case string(name) != "tasks":
			return &FieldError{Field: clip(string(name)), Problem: "unknown field", Allowed: []string{"tasks"}}
		case seen:
			return &FieldError{Field: "tasks", Problem: "is there twice"}
		case s.peek() != '[':
			return s.wrongKind("tasks", "an array")
		}
		seen = true
		return s.each(yield)
	})
	if err == nil && !seen {
		err = &FieldError{Field: "tasks", Problem: "is missing"}
	}
	return err
}

// each reads an array of tasks.
func (s *scanner) each(yield func(*Task, error) bool) error {
	return s.elements(func() error {
		start := s.pos
		t, _, err := s.task()
		if err != nil { // find its end
			s.pos = start
			if value, wrong := s.value(); wrong != nil {
				return wrong
			} else if !utf8.Valid(value) {
				return err
			}
		}
		if !yield(t, err) {
			return errStopped
		}
		return nil
	})
}
